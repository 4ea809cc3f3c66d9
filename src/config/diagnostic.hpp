// What is wrong with a configuration, and where: the one form in which reader, check and the later stages (addresses,
// binding) tell an operator, so that one sorted list holds everything that was found.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace prong::config {

struct Diagnostic {
  Position position;
  std::string message;  // what is wrong, lower case, no full stop
  std::string hint;     // what to write instead; may be empty
};

// `file:line:col: error: message; hint`. Without a line (a file that cannot be read) `file: error: ...`; without a file
// `error: ...`.
[[nodiscard]] std::string to_text(const Diagnostic& diagnostic);

// "file:line:col", for messages that name a second place.
[[nodiscard]] std::string to_text(const Position& position);

// Sorts by file (in the order of `files`, others last), line and column, and keeps the order of equal ones.
void sort_diagnostics(std::vector<Diagnostic>& diagnostics, const std::vector<std::string>& files);

}  // namespace prong::config
