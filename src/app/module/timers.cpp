#include "app/module/timers.hpp"

namespace prong::app::module {

Timers::Started Timers::start(os::TimePoint due, const Timer& timer) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t number = ++last_;
  by_due_.emplace(std::pair(due, number), timer);
  due_of_.emplace(number, due);
  return {.number = number, .is_next = publish()};
}

bool Timers::stop(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = due_of_.find(number);
  if (found == due_of_.end()) return false;
  by_due_.erase({found->second, number});
  due_of_.erase(found);
  return publish();
}

std::optional<Timers::Timer> Timers::take_due(os::TimePoint now) {
  if (const auto due = next(); !due || *due > now) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (by_due_.empty() || by_due_.begin()->first.first > now) return std::nullopt;
  const auto [due, number] = by_due_.begin()->first;
  const Timer timer = by_due_.begin()->second;
  by_due_.erase(by_due_.begin());
  if (timer.every.count() > 0) {
    // What was missed is not made up for: the next time is in the future.
    const os::TimePoint again = due + timer.every > now ? due + timer.every : now + timer.every;
    by_due_.emplace(std::pair(again, number), timer);
    due_of_[number] = again;
  } else {
    due_of_.erase(number);
  }
  (void)publish();
  return timer;
}

std::optional<os::TimePoint> Timers::next() const {
  const std::int64_t next = next_.load(std::memory_order_relaxed);
  if (next == kNone) return std::nullopt;
  return os::TimePoint(std::chrono::nanoseconds{next});
}

bool Timers::publish() {
  const std::int64_t next =
      by_due_.empty() ? kNone : std::chrono::nanoseconds{by_due_.begin()->first.first.time_since_epoch()}.count();
  return next_.exchange(next, std::memory_order_relaxed) != next;
}

}  // namespace prong::app::module
