#include "app/status/metric_buckets.hpp"

#include <cstdint>
#include <string_view>

namespace prong::app {
namespace {

// The upper bounds of what is told of the scoreboard's 132 buckets. Each is the end of one of those, so that the counts
// are sums and nothing is guessed: powers of two from 2^4 to 2^26 us. The text is what Go makes of the number.
struct Bound {
  std::string_view text;
  std::uint64_t microseconds;
};
constexpr std::array kBounds{
    Bound{"1.6e-05", 1U << 4U},    Bound{"6.4e-05", 1U << 6U},    Bound{"0.000256", 1U << 8U},
    Bound{"0.000512", 1U << 9U},   Bound{"0.001024", 1U << 10U},  Bound{"0.002048", 1U << 11U},
    Bound{"0.004096", 1U << 12U},  Bound{"0.008192", 1U << 13U},  Bound{"0.016384", 1U << 14U},
    Bound{"0.032768", 1U << 15U},  Bound{"0.065536", 1U << 16U},  Bound{"0.131072", 1U << 17U},
    Bound{"0.262144", 1U << 18U},  Bound{"0.524288", 1U << 19U},  Bound{"1.048576", 1U << 20U},
    Bound{"2.097152", 1U << 21U},  Bound{"4.194304", 1U << 22U},  Bound{"8.388608", 1U << 23U},
    Bound{"16.777216", 1U << 24U}, Bound{"67.108864", 1U << 26U},
};

static_assert(kBounds.size() + 1 == kToldBuckets);

}  // namespace

std::array<CumulativeBucket, kToldBuckets> cumulative(const ipc::Histogram& histogram) {
  std::array<CumulativeBucket, kToldBuckets> buckets;
  std::uint64_t count = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < kBounds.size(); ++i) {
    while (next < ipc::kBuckets && ipc::bucket_begin(next + 1) <= kBounds.at(i).microseconds)
      count += histogram.count(next++);
    buckets.at(i) = {.bound = kBounds.at(i).text, .count = count};
  }
  while (next < ipc::kBuckets) count += histogram.count(next++);
  buckets.back() = {.bound = "+Inf", .count = count};
  return buckets;
}

}  // namespace prong::app
