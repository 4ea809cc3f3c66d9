// The configuration and its schema in words: for --print-config, --dump-schema, docs/configuration.md and
// prongd.toml(5).
// All are walks over config/schema.hpp.
#pragma once

#include <string>

#include "config/config.hpp"

namespace prong::config {

// The effective configuration as TOML, defaults filled in. Loads back to the same configuration.
[[nodiscard]] std::string to_toml(const Config& config);

// JSON Schema (draft 2020-12) of a configuration file, for editors.
[[nodiscard]] std::string json_schema();

// The whole page docs/configuration.md.
[[nodiscard]] std::string reference_markdown();

// The whole of docs/man/prongd.toml.5.scd.
[[nodiscard]] std::string reference_manual();

}  // namespace prong::config
