// What only the world can tell of a pool that runs a module: whether its file is there. What is in it, the workers find
// out: the master, which runs this too, loads no foreign code.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

void check_module(const PoolConfig& pool, const ModuleConfig& module, std::vector<Diagnostic>& diagnostics);

}  // namespace prong::config
