// A worker's life: set up, load the application, say Ready, serve, drain, exit.
#pragma once

#include <memory>

#include "app/module/runtime.hpp"
#include "app/stream.hpp"
#include "base/error.hpp"
#include "config/config.hpp"
#include "http/handler.hpp"
#include "ipc/channel.hpp"
#include "ipc/control_link.hpp"
#include "ipc/inheritance.hpp"
#include "ipc/scoreboard.hpp"

namespace prong::worker {

// What an application may need that is there once in the worker. Borrowed, outlives what is made with it.
struct Surroundings {
  ipc::ControlLink* master = nullptr;      // of a pool that shows the daemon's status: over which it asks
  app::module::Runtime* module = nullptr;  // of a pool that runs a module
};

// What makes the application of a pool: load_application() of worker/application.hpp, or a test's own. Called once for
// each application thread, so that an application need not be thread-safe by itself.
using LoadApplication = Result<std::unique_ptr<http::Handler>> (*)(const config::AppConfig& app,
                                                                   const Surroundings& surroundings);

// The same for a pool of streams; called once, see app/stream.hpp.
using LoadStreams = Result<std::unique_ptr<app::StreamHandler>> (*)(const config::AppConfig& app,
                                                                    const Surroundings& surroundings);

// Loads the module of a pool: load_module() of worker/module.hpp. nullptr: the application does without.
using LoadModule = Result<std::unique_ptr<app::module::Runtime>> (*)(const config::PoolConfig& pool,
                                                                     const config::ModuleConfig& module,
                                                                     const ipc::Inheritance& inheritance,
                                                                     const ipc::Scoreboard& scoreboard);

struct Loaders {
  LoadApplication application = nullptr;
  LoadStreams streams = nullptr;
  LoadModule module = nullptr;  // of workers that run modules
};

// Runs in the child of a fork; its result is the exit status: 0 after a drain, 1 when it could not start, 127
// when it could not become its program in the end. Does not
// return when a thread is stuck in application code at its end: then it exits.
[[nodiscard]] int run(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const Loaders& loaders);

// What run() does after its set-up: loads the application, serves, drains. For a worker that has become the user's
// interpreter, on its main thread.
[[nodiscard]] int serve(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, ipc::Channel channel,
                        const Loaders& loaders);

}  // namespace prong::worker
