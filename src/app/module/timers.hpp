// The timers of a module: which is next, and which are due. Safe to use from several threads; a look at the next one
// takes no lock, because the I/O thread has one in every turn.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "os/clock.hpp"

namespace prong::app::module {

class Timers {
 public:
  using Fire = void (*)(void* context);
  struct Timer {
    Fire fire = nullptr;
    void* context = nullptr;
    std::chrono::nanoseconds every{};  // 0: once
  };

  struct Started {
    std::uint64_t number = 0;  // never used again
    bool is_next = false;      // none is due before
  };
  [[nodiscard]] Started start(os::TimePoint due, const Timer& timer);
  // Whether another one is the next now, or none.
  bool stop(std::uint64_t number);
  // Takes one that is due; a repeated one is set anew before. Nothing: none is.
  [[nodiscard]] std::optional<Timer> take_due(os::TimePoint now);
  [[nodiscard]] std::optional<os::TimePoint> next() const;

 private:
  // Whether next() has changed.
  bool publish();

  static constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::int64_t> next_{kNone};  // nanoseconds of os::Clock
  std::mutex mutex_;                       // of all that follows
  std::uint64_t last_ = 0;
  std::map<std::pair<os::TimePoint, std::uint64_t>, Timer> by_due_;
  std::unordered_map<std::uint64_t, os::TimePoint> due_of_;
};

}  // namespace prong::app::module
