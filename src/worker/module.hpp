// Loads the module of a pool: between the configuration, the scoreboard and src/app/module, which knows neither.
#pragma once

#include <memory>

#include "app/module/runtime.hpp"
#include "base/error.hpp"
#include "config/config.hpp"
#include "ipc/inheritance.hpp"
#include "ipc/scoreboard.hpp"

namespace prong::worker {

// Runs in the worker, on its main thread, after child_setup: foreign code, with the user and the limits under which it
// will serve. What is given is borrowed, and outlives the runtime.
[[nodiscard]] Result<std::unique_ptr<app::module::Runtime>> load_module(const config::PoolConfig& pool,
                                                                        const config::ModuleConfig& module,
                                                                        const ipc::Inheritance& inheritance,
                                                                        const ipc::Scoreboard& scoreboard);

}  // namespace prong::worker
