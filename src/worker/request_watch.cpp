#include "worker/request_watch.hpp"

namespace prong::worker {

void RequestWatch::note_left(std::uint64_t connection, os::TimePoint now) {
  if (!has_timeout_ || overrun_.contains(connection)) return;
  auto& waiter = waiters_[connection];
  waiter = std::make_unique<Left>(connection);
  left_.start(*waiter, now);
}

void RequestWatch::note_done(std::uint64_t connection) {
  // Nearly always there is none of either.
  if (!waiters_.empty()) waiters_.erase(connection);
  if (!overrun_.empty()) overrun_.erase(connection);
}

bool RequestWatch::take_late(os::TimePoint now) {
  Waiter* const waiter = left_.take_late(now);
  if (waiter == nullptr) return false;
  // Only requests that were left are put into this list.
  const std::uint64_t connection =
      static_cast<Left&>(*waiter).connection;  // NOLINT(cppcoreguidelines-pro-type-static-cast-downcast)
  overrun_.insert(connection);
  waiters_.erase(connection);
  return true;
}

}  // namespace prong::worker
