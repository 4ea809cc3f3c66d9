// One connection's entries in the worker's books: how many requests began, how they ended, and how long they took. Told
// by the session which answers there are, and by the connection how far the client has them; passes both on to the
// access log, if there is one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "http/observer.hpp"
#include "ipc/scoreboard.hpp"
#include "os/clock.hpp"
#include "worker/answer_log.hpp"

namespace prong::worker {

// What the accounts of all connections of a worker share. Borrowed.
struct Books {
  ipc::WorkerBoard* board = nullptr;
  // The I/O thread's clock: when its turn began, or when it looked last, which is after each answer. So the time of a
  // request that waits behind others of its turn runs from that turn on, and nothing is asked at its begin.
  os::TimePoint* clock = nullptr;
};

class RequestAccount final : public http::Observer {
 public:
  // `log`: nullptr when the pool has no access log.
  RequestAccount(const Books& books, std::unique_ptr<AnswerLog> log) : books_(books), log_(std::move(log)) {}

  void request_begins() override;
  void answer_begins(const http::Request& request, const http::Response& response, std::uint64_t begin,
                     std::uint64_t body_begin) override;
  void answer_ends(std::uint64_t end) override;
  // The kernel has taken everything up to that place in the stream of answers.
  void note_sent(std::uint64_t sent);
  // The connection is over, having sent that much: what was under way has been cut.
  void note_end(std::uint64_t sent);
  // nullptr: there is none.
  [[nodiscard]] AnswerLog* log() const { return log_.get(); }

 private:
  // An answer that is on its way.
  struct Entry {
    std::optional<os::TimePoint> began = {};  // its request; nothing: it answers what was none
    std::uint64_t end = kOpen;                // kOpen: its body is being made
    std::uint16_t status = 0;
  };
  static constexpr std::uint64_t kOpen = ~std::uint64_t{0};
  void finish(const Entry& entry, os::TimePoint now) const;
  void cut(const Entry& entry) const;

  Books books_;
  std::unique_ptr<AnswerLog> log_;
  std::optional<os::TimePoint> began_ = {};  // the request that has no answer yet
  std::optional<Entry> last_ = {};
  std::vector<Entry> earlier_ = {};  // oldest first; some only with pipelining
};

}  // namespace prong::worker
