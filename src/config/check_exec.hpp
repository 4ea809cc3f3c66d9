// What can be wrong with pools that run programs: for config/check.cpp alone. Whether the program is there and may be
// run is not asked here but by the worker, as the user that will run it (app/program.hpp).
#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

// Keys of the pool and of its app table that were written and say nothing about such a pool (Section::fits).
void check_keys_fit(const Config& config, const PoolConfig& pool, std::vector<Diagnostic>& diagnostics);

void check_exec(const Config& config, const PoolConfig& pool, const ExecConfig& exec,
                std::vector<Diagnostic>& diagnostics);

}  // namespace prong::config
