// A worker's life: set up, load the application, say Ready, serve, drain, exit.
#pragma once

#include <memory>

#include "app/stream.hpp"
#include "base/error.hpp"
#include "config/config.hpp"
#include "http/handler.hpp"
#include "ipc/channel.hpp"
#include "ipc/control_link.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// What makes the application of a pool: load_application() of worker/application.hpp, or a test's own. Called once for
// each application thread, so that an application need not be thread-safe by itself.
// `master`: of a pool that shows the daemon's status, over which it asks; else nullptr. Borrowed, outlives what is
// made.
using LoadApplication = Result<std::unique_ptr<http::Handler>> (*)(const config::AppConfig& app,
                                                                   ipc::ControlLink* master);

// The same for a pool of streams; called once, see app/stream.hpp.
using LoadStreams = Result<std::unique_ptr<app::StreamHandler>> (*)(const config::AppConfig& app);

// Runs in the child of a fork; its result is the exit status: 0 after a drain, 1 when it could not start, 127
// when it could not become its program in the end. Does not
// return when a thread is stuck in application code at its end: then it exits.
[[nodiscard]] int run(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, LoadApplication load,
                      LoadStreams load_streams);

// What run() does after its set-up: loads the application, serves, drains. For a worker that has become the user's
// interpreter, on its main thread.
[[nodiscard]] int serve(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, ipc::Channel channel,
                        LoadApplication load, LoadStreams load_streams);

}  // namespace prong::worker
