// The one clock of deadlines and ages: CLOCK_MONOTONIC, which no operator and no NTP daemon sets back.
#pragma once

#include <chrono>
#include <ctime>

namespace prong::os {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

[[nodiscard]] inline TimePoint now() {
  return Clock::now();
}

// The same clock as of the kernel's last tick, a few milliseconds ago at most, at a fifth of the cost
// (clock_gettime(2)): for what is asked at every request and measured in seconds.
[[nodiscard]] inline TimePoint coarse_now() {
  std::timespec time{};
  (void)::clock_gettime(CLOCK_MONOTONIC_COARSE, &time);  // fails only for clocks that are not there
  return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace prong::os
