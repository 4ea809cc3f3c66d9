// What a reload changed, in words, for its log lines. A walk over config/schema.hpp.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"

namespace prong::config {

// One line for each difference: "pool shop: workers 4 -> 8", "pool files: added", "log.level info -> debug". A change
// that only a restart can make says so. Nothing: the two are the same.
[[nodiscard]] std::vector<std::string> diff(const Config& before, const Config& after);

}  // namespace prong::config
