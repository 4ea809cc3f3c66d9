// A module in this worker: its library, its state, and what it has going beside its requests (timers, descriptors,
// functions that its own threads have posted, answers that come later).
//
// Where its callbacks run is the worker's business. In `event` the I/O thread calls run_due() in every turn and
// run_ready() when fd() is readable, and takes what came of it with take_news(). In `thread` and `process` an
// application thread calls keep_house() between two requests, when one of them is due or posted, which the I/O thread
// finds out. What a module does of its own is done one after the other there too, so that timers and posted functions
// never meet themselves.
//
// Callbacks that are due at once take turns with everything else the worker does: each of these functions runs some for
// a few milliseconds, and leaves the rest for its next call.
//
// A callback that fails says so with fail(), since nothing may be thrown across the C ABI; here that becomes an
// exception again (Callback), and goes the way of every application's.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "app/module/options.hpp"
#include "app/module/settings.hpp"
#include "app/module/timers.hpp"
#include "app/stream.hpp"
#include "base/error.hpp"
#include "http/handler.hpp"
#include "log/repetition.hpp"
#include "os/clock.hpp"
#include "os/epoll.hpp"
#include "os/event_fd.hpp"
#include "os/socket.hpp"
#include "prong/module.h"

namespace prong::app::module {
class Runtime;
}

// The C ABI's name for the worker.
struct prong_worker {
  prong::app::module::Runtime* runtime = nullptr;
};

namespace prong::app::module {

// A function that is to be called as a callback of its own.
struct Posted {
  void (*run)(void* context) = nullptr;
  void* context = nullptr;
  std::string_view what = "a posted function";  // for the log
};

class Runtime {
 public:
  // Loads the library and starts the module, on the worker's main thread. Blocks as long as the module's start() does.
  // The error says why it cannot run, with its path.
  [[nodiscard]] static Result<std::unique_ptr<Runtime>> create(Settings settings, Metrics metrics);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();
  // Stops the module: on the main thread, when no callback can come any more. Threads that it has started itself may
  // still post and ask, so that it stays until the end of the process, which gives it back to the kernel.
  static void stop(std::unique_ptr<Runtime> runtime);

  // A handler of requests: one for each application thread. Borrows this.
  [[nodiscard]] std::unique_ptr<http::Handler> make_handler();
  // What a stream pool runs; one. Borrows this.
  [[nodiscard]] std::unique_ptr<StreamHandler> make_streams();

  // ---- Beside the requests

  // Readable when run_ready() has something to do.
  [[nodiscard]] int fd() const { return epoll_.fd(); }
  // When the next timer is due.
  [[nodiscard]] std::optional<os::TimePoint> next_due() const { return timers_.next(); }
  [[nodiscard]] bool has_due(os::TimePoint now) const {
    const auto next = timers_.next();
    return next && *next <= now;
  }
  // `event`: timers. A failure is told in the log.
  void run_due(os::TimePoint now);
  // `event`: descriptors and posted functions.
  void run_ready();
  // Elsewhere, when fd() is readable: whether an application thread is to call keep_house(), because something was
  // posted or left over. Or else it is next_due() that has changed, which the I/O thread, whose call this is, waits
  // for.
  [[nodiscard]] bool hear_posted();
  // Timers and posted functions, on an application thread. Does nothing while another one is at it.
  void keep_house(os::TimePoint now);

  // ---- `event`: what a callback did for a connection that it was not about

  struct News {
    std::uint64_t connection = 0;
    std::optional<http::Response> answer = {};  // nothing: there is more to send
    bool cut = false;                           // it is to end now, with a reset
  };
  [[nodiscard]] bool has_news() const { return !news_.empty(); }
  [[nodiscard]] std::vector<News> take_news();
  // Whether something of that connection is in the next take_news().
  [[nodiscard]] bool has_news_of(std::uint64_t connection) const;
  // Nobody waits for the answer of that connection any more, if one is to come.
  void forget(std::uint64_t connection);

  // The worker drains. Any thread.
  void drain();
  [[nodiscard]] bool draining() const { return draining_.load(std::memory_order_relaxed); }

  // ---- For the rest of this folder

  [[nodiscard]] const prong_module& module() const { return module_; }
  [[nodiscard]] void* state() const { return state_; }
  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] Metrics& metrics() { return metrics_; }
  // While start() runs; else nullptr.
  [[nodiscard]] Options* options() { return options_ ? &*options_ : nullptr; }
  // "module "/srv/hello.so"", for the log.
  [[nodiscard]] std::string name() const;

  // Log lines that clients can bring about, so that there are only so many in a second. Any thread.
  // So many bytes of what the module has sent were waiting for that client.
  void complain_of_slow_client(const os::SocketAddress& client, std::size_t waiting);
  // An answer that cannot be, or that never was.
  void complain_of_answer(std::string_view problem);
  // A callback that is about no request has failed: `what` did. `failure` is the module's text.
  void complain_of_callback(std::string_view what, std::string_view failure);
  // A metric that cannot be.
  void complain_of_metric(std::string_view metric, const Error& why);
  // More is to be sent on that connection. `event`.
  void wake(std::uint64_t connection) { news_.push_back({.connection = connection}); }
  void cut(std::uint64_t connection) { news_.push_back({.connection = connection, .cut = true}); }
  // A deferred exchange of that connection: owned here until end_deferred().
  [[nodiscard]] prong_exchange* defer(std::uint64_t connection);
  void end_deferred(prong_exchange* exchange);
  void answer_later(std::uint64_t connection, http::Response response);
  // The answer that was given already to what has been deferred in this very callback.
  [[nodiscard]] std::optional<http::Response> take_answer(std::uint64_t connection);

  [[nodiscard]] std::uint64_t start_timer(std::chrono::nanoseconds after, const Timers::Timer& timer);
  void stop_timer(std::uint64_t number);
  using Ready = void (*)(void* context, std::uint32_t events);
  // 0: it cannot be watched.
  [[nodiscard]] std::uint64_t watch(int descriptor, std::uint32_t events, Ready ready, void* context);
  [[nodiscard]] bool change_watch(std::uint64_t number, std::uint32_t events);
  void stop_watch(std::uint64_t number);
  // Any thread. False: the worker has come to its end, and it will not run.
  [[nodiscard]] bool post(const Posted& posted);

 private:
  Runtime(Settings settings, Metrics metrics, os::Epoll epoll, os::EventFd posted);
  [[nodiscard]] Result<void> start();
  void stop();
  template <class Function>
  void call_beside(std::string_view what, Function function);
  // Whether that watch is the one that the descriptor is in the epoll set for.
  [[nodiscard]] bool is_watching(std::uint64_t number, int descriptor) const;
  void run_posted(os::TimePoint end);
  // Whether there was one.
  bool run_timers(os::TimePoint now, os::TimePoint end);
  [[nodiscard]] std::optional<Posted> take_posted();
  [[nodiscard]] bool has_posted();

  struct Watch {
    int descriptor = -1;
    Ready ready = nullptr;
    void* context = nullptr;
  };

  Settings settings_;
  Metrics metrics_;
  prong_module module_{};
  prong_worker worker_;
  void* state_ = nullptr;
  bool started_ = false;
  std::optional<Options> options_;
  std::atomic<bool> draining_ = false;

  Timers timers_;
  os::Epoll epoll_;
  os::EventFd posted_event_;
  std::uint64_t last_watch_ = 0;
  std::unordered_map<std::uint64_t, Watch> watches_;
  // The last watch of each descriptor: an earlier one may still be there whose descriptor was closed behind our back.
  std::unordered_map<int, std::uint64_t> watched_;
  struct Heard {
    std::uint64_t watch = 0;  // its number
    std::uint32_t what = 0;
  };
  std::deque<Heard> heard_;  // what is ready and has not been called

  std::mutex house_mutex_;  // held by the application thread that keeps the house
  std::mutex posted_mutex_;
  std::deque<Posted> posted_;
  bool is_over_ = false;  // under posted_mutex_ too: nothing is posted any more

  std::mutex complaints_mutex_;
  log::Repetition slow_clients_{std::chrono::seconds{1}};
  // Several at once, because each may be about something else.
  static constexpr int kMostComplaints = 20;
  log::Repetition wrong_answers_{std::chrono::seconds{1}, kMostComplaints};
  log::Repetition failed_callbacks_{std::chrono::seconds{1}, kMostComplaints};
  log::Repetition wrong_metrics_{std::chrono::seconds{1}, kMostComplaints};
  std::vector<News> news_;
  std::unordered_map<prong_exchange*, std::unique_ptr<prong_exchange>> deferred_;
  std::unordered_map<std::uint64_t, prong_exchange*> awaited_;  // by connection
};

// What the callback that runs on this thread said with fail().
class Callback {
 public:
  static void fail(std::string_view what);
  // Whether one has failed; then forgets it.
  [[nodiscard]] static std::optional<std::string> take_failure();
  // Throws std::runtime_error when one has.
  static void check();

  // While the module is told that something ends (a body, an upload, a connection), which may be in the middle of
  // another callback: a failure in here is no failure of that one, and only told in the log.
  class Ending {
   public:
    // Both are borrowed.
    Ending(Runtime& runtime, std::string_view what);
    Ending(const Ending&) = delete;
    Ending& operator=(const Ending&) = delete;
    ~Ending();

   private:
    Runtime* runtime_;
    std::string_view what_;
    std::optional<std::string> outer_;  // what the other one had said before
  };
};

// The table of functions that a module calls; api.cpp.
[[nodiscard]] const prong_api& api();

}  // namespace prong::app::module
