// What a worker of this program runs. A test's program has another one, with applications of its own, and is the same
// daemon in everything else (test/trial).
#pragma once

#include "config/config.hpp"
#include "ipc/inheritance.hpp"

namespace prong {

// Runs in the child of a fork; its result is the exit status.
[[nodiscard]] int worker_main(const ipc::Inheritance& inheritance, const config::PoolConfig& pool);

}  // namespace prong
