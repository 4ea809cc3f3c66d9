// The worker in the user's interpreter: joins the module that Python loads (app/wsgi) and the worker.
#include <optional>
#include <utility>
#include <variant>

#include "app/wsgi/module.hpp"
#include "ipc/channel.hpp"
#include "os/process.hpp"
#include "worker/interpreter.hpp"
#include "worker/worker.hpp"

namespace prong::app::wsgi {
namespace {

// What begin_worker() made, for the calls that follow from Python. One for the process.
struct State {
  worker::Resumed resumed;
  ipc::Channel channel;
  // A second descriptor of it, since serve() owns the first, and a thread of its own asks. Invalid: nothing asks.
  ipc::Channel asking = {};
  // To which the interpreter writes when it dies.
  os::UniqueFd stack = {};
};
std::optional<State> state;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

::prong::Result<std::unique_ptr<http::Handler>> load(const config::AppConfig& /*app*/,
                                                     const worker::Surroundings& /*surroundings*/) {
  return make_handler();
}

::prong::Result<std::unique_ptr<StreamHandler>> load_streams(const config::AppConfig& /*app*/,
                                                             const worker::Surroundings& /*surroundings*/) {
  return failure("a WSGI application answers requests, and is no application of streams");
}

}  // namespace

::prong::Result<Assignment> begin_worker(int record_fd) {
  auto resumed = worker::resume_worker(record_fd);
  if (!resumed) return failure(std::move(resumed.error()));
  ipc::Channel channel{os::UniqueFd{resumed->inheritance.channel_fd}};
  state.emplace(State{.resumed = *std::move(resumed), .channel = std::move(channel)});
  const config::PoolConfig& pool = state->resumed.pool();
  const auto& wsgi = std::get<config::WsgiConfig>(pool.app);
  // One for the pool is enough.
  if (wsgi.reload && state->resumed.inheritance.slot == 0) {
    auto copy = os::duplicate(state->channel.fd());
    if (!copy) return failure(std::move(copy.error()));
    state->asking = ipc::Channel{os::UniqueFd{*copy}};
  }
  state->stack = os::UniqueFd{state->resumed.inheritance.stack_fd};
  return Assignment{.application = wsgi.app,
                    .path = wsgi.path,
                    .gc_freeze = wsgi.gc_freeze,
                    .reload = wsgi.reload,
                    .watches = state->asking.valid(),
                    .debug_errors = wsgi.debug_errors,
                    .stack_fd = state->stack.get(),
                    .multithread = pool.concurrency == config::Concurrency::kThread && pool.threads > 1,
                    .multiprocess = !pool.workers || *pool.workers > 1};
}

int serve_worker() {
  if (!state) return 1;  // the Python side has called begin() first
  return worker::serve(state->resumed.inheritance, state->resumed.pool(), std::move(state->channel),
                       {.application = load, .streams = load_streams});
}

void refuse_to_start(const std::string& reason) {
  if (state) (void)state->channel.send(ipc::StartFailed{.reason = reason});  // the exit follows, and says the rest
}

::prong::Result<void> ask_for_reload(const std::string& reason) {
  if (!state || !state->asking.valid()) return failure("this worker watches nothing");
  return state->asking.send(ipc::ReloadWanted{.reason = reason});
}

}  // namespace prong::app::wsgi
