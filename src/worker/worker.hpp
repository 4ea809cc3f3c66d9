// A worker's life: set up, load the application, say Ready, serve, drain, exit.
#pragma once

#include "config/config.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// Runs in the child of a fork; its result is the exit status: 0 after a drain, 1 when it could not start.
[[nodiscard]] int run(const ipc::Inheritance& inheritance, const config::PoolConfig& pool);

}  // namespace prong::worker
