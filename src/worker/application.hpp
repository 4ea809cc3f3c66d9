// Loads what a pool runs. The one place that knows all applications.
#pragma once

#include <memory>

#include "app/stream.hpp"
#include "base/error.hpp"
#include "config/config.hpp"
#include "http/handler.hpp"
#include "worker/worker.hpp"

namespace prong::worker {

// Runs in the worker, after child_setup: with the user and the limits under which it will serve.
[[nodiscard]] Result<std::unique_ptr<http::Handler>> load_application(const config::AppConfig& app,
                                                                      const Surroundings& surroundings);
// The same for an application of streams; of one that answers requests it is an error, and of one of streams that one.
[[nodiscard]] Result<std::unique_ptr<app::StreamHandler>> load_streams(const config::AppConfig& app,
                                                                       const Surroundings& surroundings);

// What stands before the application of a pool that speaks HTTP: its static_map and path_prefix; nullptr: nothing does.
// `application` is borrowed. Runs where load_application() does.
[[nodiscard]] Result<std::unique_ptr<http::Handler>> load_router(const config::PoolConfig& pool,
                                                                 http::Handler& application);

}  // namespace prong::worker
