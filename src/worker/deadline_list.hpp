// Deadlines of many connections that all wait equally long: the first to start waiting is the first to be late, so a
// linked list in order of arrival does, and starting, moving and stopping cost a few pointers.
#pragma once

#include <optional>

#include "base/units.hpp"
#include "os/clock.hpp"

namespace prong::worker {

// Inherited by what waits. In at most one list at a time; leaves it when destroyed.
class Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { stop_waiting(); }
  void stop_waiting() {
    if (previous_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = nullptr;
  }
  [[nodiscard]] bool is_waiting() const { return previous_ != nullptr; }

 private:
  friend class DeadlineList;
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
  os::TimePoint deadline_;
};

class DeadlineList {
 public:
  explicit DeadlineList(Duration patience) : patience_(patience) { end_.previous_ = end_.next_ = &end_; }
  DeadlineList(const DeadlineList&) = delete;
  DeadlineList& operator=(const DeadlineList&) = delete;
  ~DeadlineList() {
    while (end_.next_ != &end_) end_.next_->stop_waiting();
    end_.previous_ = end_.next_ = nullptr;
  }

  // Waits from `now` on, here and in no other list. A time that has passed costs a walk over those that began later.
  void start(Waiter& waiter, os::TimePoint now) {
    waiter.stop_waiting();
    waiter.deadline_ = now + patience_;
    Waiter* before = end_.previous_;
    while (before != &end_ && before->deadline_ > waiter.deadline_) before = before->previous_;
    waiter.previous_ = before;
    waiter.next_ = before->next_;
    before->next_->previous_ = &waiter;
    before->next_ = &waiter;
  }
  // The first whose time is over, taken out of the list; nothing when there is none.
  [[nodiscard]] Waiter* take_late(os::TimePoint now) {
    Waiter* first = end_.next_;
    if (first == &end_ || first->deadline_ > now) return nullptr;
    first->stop_waiting();
    return first;
  }
  // Since when one of this list waits.
  [[nodiscard]] os::TimePoint began(const Waiter& waiter) const { return waiter.deadline_ - patience_; }
  [[nodiscard]] std::optional<os::TimePoint> next_deadline() const {
    if (end_.next_ == &end_) return std::nullopt;
    return end_.next_->deadline_;
  }

 private:
  Duration patience_;
  Waiter end_;  // before the first and behind the last
};

}  // namespace prong::worker
