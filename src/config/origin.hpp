// Every value that is in force, and where it comes from. A walk over config/schema.hpp.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace prong::config {

struct EffectiveValue {
  std::string name;   // "pool.shop.listen[0].backlog"
  std::string value;  // as TOML
  Position position;  // no line: the default, or made of options
};

// In the order of to_toml().
[[nodiscard]] std::vector<EffectiveValue> effective_values(const Config& config);

}  // namespace prong::config
