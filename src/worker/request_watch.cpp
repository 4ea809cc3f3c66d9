#include "worker/request_watch.hpp"

#include <utility>

namespace prong::worker {

void RequestWatch::note_left(std::uint64_t connection, std::string request, os::TimePoint now) {
  if (!has_timeout_ || overrun_.contains(connection)) return;
  auto& waiter = waiters_[connection];
  waiter = std::make_unique<Left>(connection, std::move(request));
  left_.start(*waiter, now);
}

void RequestWatch::note_done(std::uint64_t connection) {
  // Nearly always there is none of either.
  if (!waiters_.empty()) waiters_.erase(connection);
  if (!overrun_.empty()) overrun_.erase(connection);
}

std::optional<std::string> RequestWatch::take_late(os::TimePoint now) {
  Waiter* const waiter = left_.take_late(now);
  if (waiter == nullptr) return std::nullopt;
  // Only requests that were left are put into this list.
  auto& late = static_cast<Left&>(*waiter);  // NOLINT(cppcoreguidelines-pro-type-static-cast-downcast)
  const std::uint64_t connection = late.connection;
  std::string request = std::move(late.request);
  overrun_.insert(connection);
  waiters_.erase(connection);
  return request;
}

}  // namespace prong::worker
