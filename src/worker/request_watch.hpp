// The requests that are with application threads, and how long they may be there. The deadline of a request whose
// client is still there is the connection's; this one keeps those whose client has left, since a thread that is stuck
// for nobody is as lost as any other, and counts the threads that are not expected back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "base/units.hpp"
#include "os/clock.hpp"
#include "worker/deadline_list.hpp"

namespace prong::worker {

class RequestWatch {
 public:
  // No time: no request is ever late.
  explicit RequestWatch(Duration timeout) : has_timeout_(timeout > Duration::zero()), left_(timeout) {}

  // The client has gone, and a thread goes on with the request. `request`: what it is, for the log.
  void note_left(std::uint64_t connection, std::string request, os::TimePoint now);
  // The request is late, and its thread works on.
  void note_overrun(std::uint64_t connection) { overrun_.insert(connection); }
  // Its thread is free again.
  void note_done(std::uint64_t connection);

  // A request without a client that is late now, if there is one: what it is. It counts as overrun from then on.
  [[nodiscard]] std::optional<std::string> take_late(os::TimePoint now);
  [[nodiscard]] std::optional<os::TimePoint> next_deadline() const { return left_.next_deadline(); }
  // Threads that are not expected back.
  [[nodiscard]] std::size_t overrun() const { return overrun_.size(); }

 private:
  struct Left : Waiter {
    Left(std::uint64_t key, std::string text) : connection(key), request(std::move(text)) {}
    std::uint64_t connection;
    std::string request;
  };
  bool has_timeout_;
  DeadlineList left_;  // before its waiters
  std::unordered_map<std::uint64_t, std::unique_ptr<Left>> waiters_;
  std::unordered_set<std::uint64_t> overrun_;
};

}  // namespace prong::worker
