// Reads the `options` of a module: the one table whose keys no schema knows, for its author made them. What can be
// said of them without him is said here, so that the module itself only asks for names and types.
#pragma once

#include <toml++/toml.h>

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

// Tables and lists in each other. Less than what the parser lets through (config/nesting.hpp), so that the options in
// one line, as they are printed, can be read again.
inline constexpr std::size_t kMostNestedOptions = 16;

// Of the table of options, for messages.
struct OptionsPlace {
  std::string name;  // "pool.hello.module.options"
  std::string file;
};

// What is wrong is added to `diagnostics` and left out of the result.
[[nodiscard]] ModuleOptions read_options(const toml::table& table, const OptionsPlace& place,
                                         std::vector<Diagnostic>& diagnostics);

}  // namespace prong::config
