// Buckets of durations, and what is read out of them.
#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <memory>

#include "ipc/histogram.hpp"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

}  // namespace

TEST_CASE("the first buckets are as documented") {
  for (std::uint64_t value = 0; value < 8; ++value) CHECK(bucket_of(value) == value);
  CHECK(bucket_of(8) == 8);
  CHECK(bucket_of(9) == 8);
  CHECK(bucket_of(10) == 9);
  CHECK(bucket_of(15) == 11);
  CHECK(bucket_of(16) == 12);
  CHECK(bucket_of(19) == 12);
  CHECK(bucket_of(20) == 13);
}

TEST_CASE("buckets lie side by side, and each begins where it is said to") {
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
    CAPTURE(bucket);
    CHECK(bucket_of(bucket_begin(bucket)) == bucket);
    if (bucket > 0) CHECK(bucket_of(bucket_begin(bucket) - 1) == bucket - 1);
    // To a quarter of the value at the worst.
    if (bucket >= 4) CHECK((bucket_begin(bucket + 1) - bucket_begin(bucket)) * 4 <= bucket_begin(bucket));
  }
  CHECK(bucket_begin(kBuckets) == std::uint64_t{1} << 34U);
}

TEST_CASE("what is longer than hours is in the last bucket") {
  CHECK(bucket_of(std::uint64_t{1} << 34U) == kBuckets - 1);
  CHECK(bucket_of(kMost) == kBuckets - 1);
}

TEST_CASE("durations are counted and added up") {
  const auto cells = std::make_unique<HistogramCells>();
  cells->add(-5ms);
  cells->add(999ns);
  cells->add(1us);
  cells->add(1us);
  cells->add(1s);
  const Histogram histogram = Histogram::of(*cells);
  CHECK(histogram.count() == 5);
  CHECK(histogram.count(0) == 2);
  CHECK(histogram.count(1) == 2);
  CHECK(histogram.count(bucket_of(1'000'000)) == 1);
  CHECK(histogram.sum() == 1'000'002us);
}

TEST_CASE("percentiles of nothing are none") {
  CHECK_FALSE(Histogram{}.percentile(0.5).has_value());
}

TEST_CASE("percentiles are exact for few microseconds, and a quarter off at the worst") {
  const auto cells = std::make_unique<HistogramCells>();
  for (int i = 0; i < 98; ++i) cells->add(3us);
  cells->add(100ms);
  cells->add(2s);
  const Histogram histogram = Histogram::of(*cells);
  CHECK(histogram.percentile(0) == 3us);
  CHECK(histogram.percentile(0.5) == 3us);
  CHECK(histogram.percentile(0.98) == 3us);
  const auto p99 = histogram.percentile(0.99).value();
  CHECK(p99 > 80ms);
  CHECK(p99 < 125ms);
  const auto most = histogram.percentile(1).value();
  CHECK(most > 1600ms);
  CHECK(most < 2500ms);
  CHECK(histogram.percentile(7) == most);
  CHECK(histogram.percentile(-1) == 3us);
}

TEST_CASE("percentiles never fall with the fraction, and lie in the bucket of their rank") {
  const auto cells = std::make_unique<HistogramCells>();
  std::uint64_t value = 1;
  for (int i = 0; i < 5'000; ++i) {
    value = (value * 48'271) % 2'147'483'647;  // the minimal standard generator (Park and Miller, 1988)
    cells->add(std::chrono::microseconds{value >> (value % 30)});
  }
  const Histogram histogram = Histogram::of(*cells);
  auto last = 0us;
  for (int i = 0; i <= 1'000; ++i) {
    const auto now = histogram.percentile(i / 1'000.0).value();
    CHECK(now >= last);
    CHECK(histogram.count(bucket_of(static_cast<std::uint64_t>(now.count()))) > 0);
    last = now;
  }
}

TEST_CASE("histograms are added up, and numbers that no worker can have do not begin anew") {
  const auto cells = std::make_unique<HistogramCells>();
  cells->add(5us);
  Histogram histogram = Histogram::of(*cells);
  histogram.merge(histogram);
  CHECK(histogram.count() == 2);
  CHECK(histogram.sum() == 10us);
  for (int i = 0; i < 70; ++i) {
    const Histogram copy = histogram;
    histogram.merge(copy);
  }
  CHECK(histogram.count() == kMost);
  CHECK(histogram.sum() > 0us);
  CHECK(histogram.percentile(0.5).has_value());
}

}  // namespace prong::ipc
