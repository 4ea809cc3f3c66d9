// `process` and `thread` concurrency: requests, and events of streams, go from the I/O thread to application threads,
// and answers back.
//
// Application code may block, hang or be slow; the I/O thread never waits for it. What crosses is owned by one side at
// a time: a job by its thread, an answer by the I/O thread. What it costs is waking and locking, so the I/O thread
// hands over all requests of a turn at once, a thread gives its answer and takes its next job under one lock, wakes the
// next sleeper only when there is more to do, and the I/O thread's descriptor is written to only when it has taken
// everything that was told before.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "app/stream_event.hpp"
#include "base/error.hpp"
#include "base/units.hpp"
#include "http/handler.hpp"
#include "http/owned_request.hpp"
#include "ipc/thread_cell.hpp"
#include "os/clock.hpp"
#include "os/event_fd.hpp"
#include "worker/body_pipe.hpp"
#include "worker/stream_pipe.hpp"

namespace prong::worker {

class ApplicationThreads final : public http::Handler {
 public:
  // What a thread has to tell about one connection.
  struct News {
    std::uint64_t connection = 0;
    std::optional<http::Response> answer = {};       // nothing: there is more of a body that is streamed
    std::optional<app::StreamOutcome> outcome = {};  // of an event of a stream
    std::string failure = {};                        // what the application failed with, for the log
    std::string warning = {};                        // why a streamed body cannot be spooled; then nothing else is told
    bool is_last = false;                            // the thread is done with the request
  };
  // What had become of a request when it was to be cancelled.
  enum class Cancelled : std::uint8_t {
    kWaiting,  // no thread had begun with it, and none will
    kRunning,  // a thread is at it, and goes on
    kDone,     // its last news has been told
  };

  // One handler for each thread, so that an application need not be thread-safe by itself. The room is each streamed
  // answer's.
  [[nodiscard]] static Result<std::unique_ptr<ApplicationThreads>> create(
      std::vector<std::unique_ptr<http::Handler>> handlers, BodyPipe::Room room);
  // One handler for all of `threads` threads; it and its streams share what they like (app/stream.hpp).
  [[nodiscard]] static Result<std::unique_ptr<ApplicationThreads>> create(std::unique_ptr<app::StreamHandler> streams,
                                                                          std::size_t threads);

  // What the threads do is shown in these cells, one for each, from now on. Before any of them runs. No time: a request
  // has no deadline.
  void show_in(std::span<ipc::ThreadCell> cells, Duration request_timeout) {
    cells_ = cells;
    request_timeout_ = request_timeout;
  }

  // ---- On the I/O thread.

  // Asks the first handler, whose answer must not depend on anything that its handle() changes.
  [[nodiscard]] http::BodyUse body_use(const http::Request& request) override {
    return handlers_.front()->body_use(request);
  }
  // Takes the request for a thread, which gets it with the next submit(), and says Later.
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  // Takes an event of a stream for a thread. Of one connection the next one only after the outcome of the last.
  void handle(app::StreamEvent event);
  // Takes a whole conversation for a thread, of an application that converses.
  void converse(std::shared_ptr<StreamPipe> pipe);
  [[nodiscard]] bool converses() const { return streams_ != nullptr && streams_->converses(); }
  // Application code has something to do beside its requests: a thread that is free, or the next one that is, calls
  // do_housekeeping().
  void want_housekeeping();
  // The connection has gone: the application learns of it on a thread, as of anything else. May be nullptr.
  void close(std::unique_ptr<app::Stream> stream);
  // Hands the requests over that have come since the last call: before the I/O thread waits for anything.
  void submit();
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override;
  // Readable when there is news.
  [[nodiscard]] int fd() const { return event_.fd(); }
  [[nodiscard]] std::vector<News> take_news();
  // Whether a thread would begin at once with a request that came now.
  [[nodiscard]] bool has_free_thread() const { return busy() < threads(); }
  // Requests that wait or are being answered.
  [[nodiscard]] std::size_t busy() const { return busy_.load(std::memory_order_acquire); }
  [[nodiscard]] Cancelled cancel(std::uint64_t connection);
  // When a thread began with the request of that connection; nothing: none is at it.
  [[nodiscard]] std::optional<os::TimePoint> running_since(std::uint64_t connection);
  [[nodiscard]] std::size_t threads() const { return working_on_.size(); }
  // Whether a thread has kept its house since longer than that: it is not expected back.
  [[nodiscard]] bool keeps_house_for(Duration time);
  // No more requests come; the threads end when they have answered what there is.
  void finish();

  // ---- On an application thread, numbered from 0: serves until finish().
  void run(std::size_t thread);

 private:
  struct Job {
    std::uint64_t connection;
    std::uint64_t number;  // next_number()
    std::variant<http::OwnedRequest, app::StreamEvent, std::shared_ptr<StreamPipe>> work;
  };
  ApplicationThreads(std::vector<std::unique_ptr<http::Handler>> handlers, std::unique_ptr<app::StreamHandler> streams,
                     std::size_t threads, os::EventFd event, BodyPipe::Room room)
      : handlers_(std::move(handlers)),
        streams_(std::move(streams)),
        event_(std::move(event)),
        room_(std::move(room)),
        housekeeping_due_(threads),
        working_on_(threads),
        house_since_(threads) {}

  // From 1, of whatever the application is called for.
  [[nodiscard]] std::uint64_t next_number() { return last_number_.fetch_add(1, std::memory_order_relaxed) + 1; }
  [[nodiscard]] std::optional<Job> next_job(std::size_t thread, std::optional<News> done);
  [[nodiscard]] std::optional<Job> wait_for_job(std::size_t thread, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] Job take_job(std::size_t thread);
  [[nodiscard]] bool claim_sleeper();
  [[nodiscard]] bool has_house_to_keep(std::size_t thread);
  void keep_house(std::size_t thread, std::unique_lock<std::mutex>& lock);
  void converse(std::size_t thread, const Job& job, News& news);
  [[nodiscard]] bool add_news(News news);
  void show(std::size_t thread, ipc::Call call, std::uint64_t number);
  [[nodiscard]] News serve(std::size_t thread, Job job);
  [[nodiscard]] News answer(std::size_t thread, Job job);
  void tell(News news);
  struct Sending;

  std::vector<std::unique_ptr<http::Handler>> handlers_;  // one for each thread; none of a pool of streams
  std::unique_ptr<app::StreamHandler> streams_;           // nullptr: the pool speaks HTTP
  os::EventFd event_;
  BodyPipe::Room room_;  // of each streamed answer
  std::span<ipc::ThreadCell> cells_ = {};
  Duration request_timeout_{};

  std::vector<Job> submitted_;                                  // the I/O thread's own
  std::vector<std::optional<os::TimePoint>> housekeeping_due_;  // by thread, and each one's own
  std::atomic<std::uint64_t> last_number_ = 0;                  // of a call of the application
  std::atomic<std::size_t> busy_ = 0;                           // jobs that were handed in and not answered

  std::mutex mutex_;  // of all that follows; held for a few moves of pointers at a time
  std::condition_variable job_arrived_;
  std::deque<Job> jobs_;
  struct Work {
    std::uint64_t connection = 0;
    os::TimePoint since = {};
  };
  std::vector<std::optional<Work>> working_on_;            // by thread
  std::size_t sleeping_ = 0;                               // threads that wait for a job
  std::size_t woken_ = 0;                                  // of them: have been woken and do not run yet
  std::vector<std::optional<os::TimePoint>> house_since_;  // by thread: it keeps its house
  bool finished_ = false;
  bool housekeeping_wanted_ = false;
  std::vector<News> news_;
};

}  // namespace prong::worker
