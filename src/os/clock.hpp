// The one clock of deadlines and ages: CLOCK_MONOTONIC, which no operator and no NTP daemon sets back.
#pragma once

#include <chrono>

namespace prong::os {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

[[nodiscard]] inline TimePoint now() {
  return Clock::now();
}

}  // namespace prong::os
