// Loads what a pool runs. The one place that knows all applications.
#pragma once

#include <memory>

#include "base/error.hpp"
#include "config/config.hpp"
#include "http/handler.hpp"

namespace prong::worker {

// Runs in the worker, after child_setup: with the user and the limits under which it will serve.
[[nodiscard]] Result<std::unique_ptr<http::Handler>> load_application(const config::AppConfig& app);

}  // namespace prong::worker
