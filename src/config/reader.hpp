// Reads configuration files: TOML to config.hpp's structs by the schema, with every error told at once. What the text
// alone cannot tell (do folders and users exist) is config/check.hpp's business.
//
// A relative `static.root` or `log.target` is resolved against the folder of the file it stands in.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

struct Loaded {
  // What was understood; with diagnostics not to be run, only to be checked further: a value that was wrong has its
  // default then, so a listener's address may be empty. Null when nothing could be read.
  std::shared_ptr<Config> config;
  std::vector<Diagnostic> diagnostics;  // sorted; empty: the text is good
};

// Reads the file and its includes. Blocks; runs in the master and in --check, not in a worker.
[[nodiscard]] Loaded load_file(const std::string& path);

// The same for text that is called `name` in messages and stands in the folder of a file of that name. Touches no file:
// an `include` in it is an error.
[[nodiscard]] Loaded load_text(std::string_view text, const std::string& name);

// The options that "NAME=VALUE" of the command line stand for. NAME is one key or several with dots between, as in
// TOML; VALUE is true, false, a whole or decimal number, or else a string as it stands. What is wrong is added to
// `diagnostics`.
[[nodiscard]] ModuleOptions read_option_arguments(const std::vector<std::string>& arguments,
                                                  std::vector<Diagnostic>& diagnostics);

}  // namespace prong::config
