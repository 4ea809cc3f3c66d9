// A worker's I/O thread: one epoll, all its connections, all its timers, and the channel to the master. In `event`
// concurrency it runs the application as well; in `thread` and `process` it hands requests to application threads and
// never waits for them, so that it keeps the time of code that is stuck.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "app/module/runtime.hpp"
#include "app/stream.hpp"
#include "base/error.hpp"
#include "config/config.hpp"
#include "http/handler.hpp"
#include "http/limits.hpp"
#include "http/origin.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"
#include "ipc/scoreboard.hpp"
#include "log/access_log.hpp"
#include "log/repetition.hpp"
#include "os/clock.hpp"
#include "os/epoll.hpp"
#include "os/signals.hpp"
#include "worker/acceptor.hpp"
#include "worker/admission.hpp"
#include "worker/application_threads.hpp"
#include "worker/connection_table.hpp"
#include "worker/deadline_list.hpp"
#include "worker/request_watch.hpp"
#include "worker/retirement.hpp"
#include "worker/shown_call.hpp"

namespace prong::worker {

class EventLoop {
 public:
  // What answers requests: a handler, which may be application threads. Or what runs on streams: a handler of streams,
  // or application threads alone. Borrowed.
  struct Application {
    http::Handler* handler = nullptr;
    app::StreamHandler* streams = nullptr;
    ApplicationThreads* threads = nullptr;   // nullptr in `event`
    app::module::Runtime* module = nullptr;  // of a pool that runs a module
  };
  // The error is for the master: why it cannot start.
  [[nodiscard]] static Result<std::unique_ptr<EventLoop>> create(const ipc::Inheritance& inheritance,
                                                                 const config::PoolConfig& pool,
                                                                 const ipc::Scoreboard& scoreboard,
                                                                 ipc::Channel channel, Application application);

  // Says Ready, waits for Serve, serves until it has drained. Requests that overran may still be with their threads
  // then, whose code nobody can stop but with the process.
  void run();

 private:
  EventLoop(const ipc::Inheritance& inheritance, const config::PoolConfig& pool, const ipc::Scoreboard& scoreboard,
            ipc::Channel channel, Application application, os::Epoll epoll, os::SignalFd signals,
            std::unique_ptr<log::AccessLog> access_log);

  [[nodiscard]] http::Handler* show(const Application& application);
  void turn();
  [[nodiscard]] bool has_work() const;
  void dispatch(std::uint64_t key, std::uint32_t events);
  void read_channel();
  void obey(ipc::Channel::Received received);
  void read_signals();
  void read_news();
  void hear_module() const;
  void keep_module();
  void take_module_news(app::module::Runtime::News news);
  void handle_overdue(Connection& connection);
  void take_outcome(Connection* connection, app::StreamOutcome outcome);
  void hear_listener(std::uint64_t key);
  void accept(std::uint64_t key);
  void accept_one_of_any();
  void yield_idle();
  void hold();
  void stop_accepting();
  void close_listeners();
  [[nodiscard]] bool begin_connection(os::Accepted accepted, std::uint64_t listener);
  void refuse_to_accept(int error);
  void remove(Connection& connection);
  static void begin_piece(Connection& connection);
  void settle(Connection& connection);
  void handle_late();
  void handle_overrun(Connection& connection);
  void replace_me(const std::string& reason);
  void refuse_what_waits();
  [[nodiscard]] Admission admission() const;
  void update_accepting();
  void keep_house();
  void keep_access_log();
  void consider_retirement();
  void complain_of_full_table();
  void complain_of_failure(const std::string& failure);
  void complain_of_spool(const std::string& warning);
  void complain_of_file(const std::string& trouble);

  struct DrainOrder {
    Duration grace{};
    Duration idle_grace{};
    std::uint64_t serve_backlog = 0;
  };
  void drain(const DrainOrder& order);
  void tell_module_to_drain() const;
  void cut_what_is_over();
  [[nodiscard]] bool is_at_rest(const Connection& connection) const;
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_next_deadline();
  [[nodiscard]] std::optional<os::TimePoint> time_of_module() const;
  // In lines of the log.
  [[nodiscard]] std::string_view unit_of_work() const {
    return config::runs_streams(pool_->app) ? "a stream" : "a request";
  }
  [[nodiscard]] DeadlineList* list_of(Waiting waiting);
  [[nodiscard]] std::array<DeadlineList*, 6> lists() {
    return {&idle_, &request_, &body_, &handling_, &sending_, &lingering_};
  }

  const config::PoolConfig* pool_;
  os::TimePoint latest_;  // now_, or a later look at the clock: Books::clock
  ipc::Channel channel_;
  Application application_;
  http::Limits limits_;
  http::ProxyTrust proxies_;
  std::unique_ptr<log::AccessLog> access_log_;  // nullptr: the pool has none
  std::optional<ShownCalls> calls_;             // in `event`
  std::optional<ShownHandler> shown_;           // the same, of a pool that speaks HTTP
  Service service_;
  ipc::WorkerBoard* board_;
  os::Epoll epoll_;
  os::SignalFd signals_;
  Acceptor acceptor_;

  // Before the connections, which leave these lists when they are destroyed.
  DeadlineList idle_;
  DeadlineList request_;
  DeadlineList body_;
  DeadlineList handling_;
  DeadlineList sending_;
  DeadlineList lingering_;
  RequestWatch watch_;
  ConnectionTable connections_;

  bool has_idle_timeout_;
  std::size_t most_connections_;  // max_connections, or what the descriptors allow
  os::TimePoint now_;             // when this turn began
  Retirement retirement_;
  bool serving_ = false;
  bool draining_ = false;
  // It waits in reserve and has heard of a connection: when it looks whether nobody else took it.
  std::optional<os::TimePoint> yield_due_;
  // Listeners that had a connection in this turn; it drains, and has still to look whether somebody took them.
  std::size_t heard_listeners_ = 0;
  std::optional<os::TimePoint> close_due_;
  std::uint64_t serve_backlog_ = 0;  // what it was told of all drains
  std::optional<os::TimePoint> drain_deadline_;
  std::optional<os::TimePoint> idle_deadline_;
  Duration idle_grace_{};  // of the drain
  std::optional<os::TimePoint> last_accept_complaint_;
  os::TimePoint last_queue_look_;  // at how long a connection had waited to be accepted
  log::Repetition failures_{std::chrono::seconds{1}};
  // A disk is full for longer than that, and every streamed answer finds it full.
  log::Repetition spool_warnings_{std::chrono::seconds{10}};
  log::Repetition overdue_{std::chrono::seconds{1}};
  log::Repetition cut_files_{std::chrono::seconds{1}};
  std::optional<os::TimePoint> housekeeping_due_;
  std::optional<os::TimePoint> module_due_;  // a thread has been asked to see to the module's timer of then
  bool has_served_ = false;                  // since the last housekeeping
  static constexpr std::size_t kReadSize = 32U << 10U;
  std::array<char, kReadSize> buffer_{};
  static constexpr std::size_t kFileBufferSize = 64U << 10U;
  // Not initialised: a pool that copies no files touches none of it.
  std::array<char, kFileBufferSize> file_buffer_;
};

}  // namespace prong::worker
