// What can be wrong with the keys that share a pool's paths out (`static_map`, `path_prefix`): for config/check.cpp
// alone.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

// Of a pool that speaks HTTP; of others nothing is asked.
void check_paths(const Config& config, const PoolConfig& pool, std::vector<Diagnostic>& diagnostics);

}  // namespace prong::config
