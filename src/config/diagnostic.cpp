#include "config/diagnostic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <tuple>

namespace prong::config {

std::string to_text(const Position& position) {
  if (position.line == 0) return position.file;
  return fmt::format("{}:{}:{}", position.file, position.line, position.column);
}

std::string to_text(const Diagnostic& diagnostic) {
  std::string text = to_text(diagnostic.position);
  if (!text.empty()) text += ": ";
  text += "error: " + diagnostic.message;
  if (!diagnostic.hint.empty()) text += "; " + diagnostic.hint;
  return text;
}

void sort_diagnostics(std::vector<Diagnostic>& diagnostics, const std::vector<std::string>& files) {
  const auto rank = [&files](const Diagnostic& diagnostic) {
    const std::ptrdiff_t file = std::ranges::find(files, diagnostic.position.file) - files.begin();
    return std::tuple{file, diagnostic.position.line, diagnostic.position.column};
  };
  std::ranges::stable_sort(diagnostics, {}, rank);
}

}  // namespace prong::config
