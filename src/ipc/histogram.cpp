#include "ipc/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

namespace prong::ipc {
namespace {

constexpr unsigned kSubBits = 2;
constexpr std::uint64_t kSubBuckets = 1U << kSubBits;
constexpr std::uint64_t kMostMicroseconds = std::numeric_limits<std::int64_t>::max() / 1'000;  // of a nanoseconds value

std::uint64_t whole_microseconds(std::chrono::nanoseconds duration) {
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, whole));
}

}  // namespace

std::size_t bucket_of(std::uint64_t microseconds) {
  if (microseconds < kSubBuckets) return static_cast<std::size_t>(microseconds);
  const auto octave = static_cast<unsigned>(std::bit_width(microseconds)) - 1;
  const std::uint64_t sub = (microseconds >> (octave - kSubBits)) & (kSubBuckets - 1);
  return static_cast<std::size_t>(std::min<std::uint64_t>(((octave - 1) * kSubBuckets) + sub, kBuckets - 1));
}

std::uint64_t bucket_begin(std::size_t bucket) {
  if (bucket < kSubBuckets) return bucket;
  const std::uint64_t octave = (bucket / kSubBuckets) + 1;
  return (kSubBuckets + (bucket % kSubBuckets)) << (octave - kSubBits);
}

void HistogramCells::add(std::chrono::nanoseconds duration) {
  const std::uint64_t microseconds = whole_microseconds(duration);
  ipc::add(counts_[bucket_of(microseconds)], 1);
  ipc::add(sum_, microseconds);
}

void SharedHistogram::observe(std::chrono::nanoseconds duration) {
  const std::uint64_t microseconds = whole_microseconds(duration);
  counts_[bucket_of(microseconds)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(microseconds, std::memory_order_relaxed);
}

template <class Cells>
Histogram Histogram::copy_of(const Cells& cells) {
  Histogram histogram;
  std::ranges::transform(cells.counts_, histogram.counts_.begin(), value_of);
  histogram.sum_ = value_of(cells.sum_);
  return histogram;
}

Histogram Histogram::of(const HistogramCells& cells) {
  return copy_of(cells);
}

Histogram Histogram::of(const SharedHistogram& cells) {
  return copy_of(cells);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] = saturating_sum(counts_[i], other.counts_[i]);
  sum_ = saturating_sum(sum_, other.sum_);
}

void Histogram::add(std::size_t bucket, std::uint64_t count) {
  counts_.at(bucket) = saturating_sum(counts_.at(bucket), count);
}

void Histogram::add_sum(std::chrono::microseconds sum) {
  sum_ = saturating_sum(sum_, static_cast<std::uint64_t>(std::max<std::int64_t>(0, sum.count())));
}

std::uint64_t Histogram::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::uint64_t{0}, saturating_sum);
}

std::chrono::microseconds Histogram::sum() const {
  return std::chrono::microseconds{static_cast<std::int64_t>(std::min(sum_, kMostMicroseconds))};
}

std::optional<std::chrono::microseconds> Histogram::percentile(double fraction) const {
  const std::uint64_t total = count();
  if (total == 0) return std::nullopt;
  const auto all = static_cast<double>(total);
  const double rank = std::clamp(std::ceil(std::clamp(fraction, 0.0, 1.0) * all), 1.0, all);
  double before = 0;
  std::size_t bucket = 0;
  while (bucket + 1 < kBuckets && before + static_cast<double>(counts_[bucket]) < rank)
    before += static_cast<double>(counts_[bucket++]);
  const auto begin = static_cast<double>(bucket_begin(bucket));
  const auto end = static_cast<double>(bucket_begin(bucket + 1));
  // Each in the middle of its part of the bucket.
  const double inside = (rank - before - 0.5) / std::max(1.0, static_cast<double>(counts_[bucket]));
  return std::chrono::microseconds{static_cast<std::int64_t>(begin + ((end - begin) * std::clamp(inside, 0.0, 1.0)))};
}

}  // namespace prong::ipc
