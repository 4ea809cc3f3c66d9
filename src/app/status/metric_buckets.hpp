// The scoreboard's histograms as Prometheus is told of them.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>

#include "app/status/metrics_text.hpp"
#include "ipc/control.hpp"

namespace prong::app {

inline constexpr std::size_t kToldBuckets = 21;  // with that of +Inf

[[nodiscard]] std::array<CumulativeBucket, kToldBuckets> cumulative(const ipc::Histogram& histogram);

[[nodiscard]] constexpr double seconds(std::chrono::duration<double> duration) {
  return duration.count();
}

}  // namespace prong::app
