// What the text of a configuration alone cannot tell: whether the folders, users and groups it names exist on this
// system, and whether its parts get in each other's way. Addresses are net/'s business.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

// Everything that is wrong, sorted; nothing: good. Blocks (stat(2), NSS); runs in the master and in --check.
[[nodiscard]] std::vector<Diagnostic> check(const Config& config);

}  // namespace prong::config
