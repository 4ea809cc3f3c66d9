// What can be wrong with pools that run a Python application: for config/check.cpp alone. Whether the interpreter is
// there and the application loads is told by the worker, as the user that will run it.
#pragma once

#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"

namespace prong::config {

void check_wsgi(const Config& config, const PoolConfig& pool, const WsgiConfig& wsgi,
                std::vector<Diagnostic>& diagnostics);

}  // namespace prong::config
