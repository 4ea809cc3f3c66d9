#include "worker/worker.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <deque>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "ipc/channel.hpp"
#include "log/log.hpp"
#include "worker/application.hpp"
#include "worker/application_threads.hpp"
#include "worker/child_setup.hpp"
#include "worker/event_loop.hpp"
#include "worker/exec_worker.hpp"
#include "worker/interpreter.hpp"

namespace prong::worker {
namespace {

// Tells the master why, which tells the operator, once.
int give_up(const ipc::Channel& channel, const Error& error) {
  if (auto sent = channel.send(ipc::StartFailed{.reason = error.text()}); !sent)
    log::error(MessageCode::kWorkerCannotStart, "cannot start: {}", error.text());
  return 1;
}

// Which is called depends on what the pool speaks.
struct Loading {
  Loaders loaders;
  Surroundings surroundings;
};

// One thread does it all.
int run_event(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const ipc::Scoreboard& scoreboard,
              ipc::Channel channel, EventLoop::Application application) {
  auto loop = EventLoop::create(inheritance, pool, scoreboard, std::move(channel), application);
  if (!loop) return give_up(ipc::Channel{}, loop.error());
  (*loop)->run();
  return 0;
}

int run_event(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const ipc::Scoreboard& scoreboard,
              ipc::Channel channel, const Loading& load) {
  if (config::runs_streams(pool.app)) {
    auto streams = load.loaders.streams(pool.app, load.surroundings);
    if (!streams) return give_up(channel, streams.error());
    return run_event(inheritance, pool, scoreboard, std::move(channel),
                     EventLoop::Application{.streams = streams->get(), .module = load.surroundings.module});
  }
  auto application = load.loaders.application(pool.app, load.surroundings);
  if (!application) return give_up(channel, application.error());
  auto router = load_router(pool, **application);
  if (!router) return give_up(channel, router.error());
  return run_event(inheritance, pool, scoreboard, std::move(channel),
                   EventLoop::Application{.handler = *router ? router->get() : application->get(),
                                          .module = load.surroundings.module});
}

Result<std::unique_ptr<ApplicationThreads>> make_threads(const config::PoolConfig& pool, const Loading& load) {
  const std::size_t number = pool.application_threads();
  if (config::runs_streams(pool.app)) {
    auto streams = load.loaders.streams(pool.app, load.surroundings);
    if (!streams) return failure(std::move(streams.error()));
    return ApplicationThreads::create(std::move(*streams), number);
  }
  std::vector<std::unique_ptr<http::Handler>> handlers;
  handlers.reserve(number);
  for (std::size_t i = 0; i < number; ++i) {
    auto handler = load.loaders.application(pool.app, load.surroundings);
    if (!handler) return failure(std::move(handler.error()));
    handlers.push_back(std::move(*handler));
  }
  return ApplicationThreads::create(std::move(handlers), {.memory = pool.http.output_buffer.bytes,
                                                          .spool = pool.http.output_spool.bytes,
                                                          .directory = pool.http.body_dir});
}

// The threads of a worker, all but its main thread; ended and joined at the end.
class Threads {
 public:
  explicit Threads(ApplicationThreads& application) : application_(&application) {}
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  ~Threads() {
    application_->finish();
    for (std::thread& thread : threads_) thread.join();
  }
  // `name` is what top(1) shows, at most 15 bytes. The error: the system has no more threads.
  template <class Function>
  [[nodiscard]] Result<void> start(const char* name, Function function) {
    try {
      threads_.emplace_back(std::move(function));
      (void)::pthread_setname_np(threads_.back().native_handle(), name);
      return {};
    } catch (const std::system_error& error) {
      return failure(fmt::format("cannot start a thread: {}", error.what()),
                     "lower `threads`, or raise the limit of tasks");
    }
  }

 private:
  ApplicationThreads* application_;
  std::vector<std::thread> threads_;
};

// Application code runs on this thread, the process's main thread, which some code expects (a Python interpreter, say),
// and on further ones; the I/O thread is a thread of its own. Only the I/O thread writes to the log.
int run_threads(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const ipc::Scoreboard& scoreboard,
                ipc::Channel channel, const Loading& load) {
  auto application = make_threads(pool, load);
  if (!application) return give_up(channel, application.error());
  ApplicationThreads& shared = **application;
  shared.show_in(scoreboard.threads(), pool.request_timeout);
  std::unique_ptr<http::Handler> router;  // outlives the loop
  http::Handler* handler = nullptr;
  if (!config::runs_streams(pool.app)) {
    auto loaded = load_router(pool, shared);
    if (!loaded) return give_up(channel, loaded.error());
    router = std::move(*loaded);
    handler = router ? router.get() : &shared;
  }
  std::unique_ptr<EventLoop> loop;  // outlives the threads
  Threads threads{shared};
  for (std::size_t i = 1; i < shared.threads(); ++i)
    if (auto started = threads.start("prongd-app", [&shared, i] { shared.run(i); }); !started)
      return give_up(channel, started.error());
  auto made = EventLoop::create(inheritance, pool, scoreboard, std::move(channel),
                                {.handler = handler, .threads = &shared, .module = load.surroundings.module});
  if (!made) return give_up(ipc::Channel{}, made.error());
  loop = std::move(*made);
  auto started = threads.start("prongd-io", [&loop, &shared, &pool] {
    loop->run();
    // What is still busy is stuck: nothing but the end of the process ends it.
    const bool has_stuck_house =
        pool.request_timeout > Duration::zero() && shared.keeps_house_for(pool.request_timeout);
    if (shared.busy() > 0 || has_stuck_house) ::_exit(0);
    shared.finish();
  });
  if (!started) return give_up(ipc::Channel{}, started.error());
  shared.run(0);
  return 0;
}

// For what threads of a module's own may still use when the module has been stopped. Reachable, so that nobody takes it
// for a leak.
template <class Value>
const Value& kept_to_the_end(Value value) {
  static auto& kept = *new std::deque<Value>;
  return kept.emplace_back(std::move(value));
}

int run_exec(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const config::ExecConfig& exec,
             ipc::Channel channel) {
  auto status = run_program(inheritance, pool, exec, channel);
  return status ? *status : give_up(channel, status.error());
}

}  // namespace

int run(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const Loaders& loaders) {
  ipc::Channel channel{os::UniqueFd{inheritance.channel_fd}};
  if (auto done = set_up_child(inheritance, pool); !done) return give_up(channel, done.error());
  if (const auto* exec = std::get_if<config::ExecConfig>(&pool.app))
    return run_exec(inheritance, pool, *exec, std::move(channel));
  if (const auto* wsgi = std::get_if<config::WsgiConfig>(&pool.app))
    return give_up(channel, become_interpreter(inheritance, pool, *wsgi, channel));
  return serve(inheritance, pool, std::move(channel), loaders);
}

int serve(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, ipc::Channel channel,
          const Loaders& loaders) {
  std::optional<ipc::ControlLink> master;
  if (inheritance.control_fd >= 0) master.emplace(os::UniqueFd{inheritance.control_fd});
  Loading load{.loaders = loaders, .surroundings = {.master = master ? &*master : nullptr}};
  const auto* const module_config = std::get_if<config::ModuleConfig>(&pool.app);
  const auto& scoreboard = kept_to_the_end(
      ipc::Scoreboard::open(os::UniqueFd{inheritance.scoreboard_fd}, pool.application_threads(),
                            module_config != nullptr ? ipc::RoomForOwnMetrics::kYes : ipc::RoomForOwnMetrics::kNo));
  if (!scoreboard) return give_up(channel, scoreboard.error());
  // Outlives all that runs it, and is stopped on this thread.
  std::unique_ptr<app::module::Runtime, void (*)(app::module::Runtime*)> module{
      nullptr, [](auto* runtime) { app::module::Runtime::stop(std::unique_ptr<app::module::Runtime>(runtime)); }};
  if (module_config != nullptr && loaders.module != nullptr) {
    auto loaded = loaders.module(pool, *module_config, inheritance, *scoreboard);
    if (!loaded) return give_up(channel, loaded.error());
    module.reset(loaded->release());
    load.surroundings.module = module.get();
  }
  switch (pool.concurrency) {
    case config::Concurrency::kEvent:
      return run_event(inheritance, pool, *scoreboard, std::move(channel), load);
    case config::Concurrency::kThread:
    case config::Concurrency::kProcess:
      break;
  }
  return run_threads(inheritance, pool, *scoreboard, std::move(channel), load);
}

}  // namespace prong::worker
