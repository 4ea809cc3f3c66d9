// How often which duration was seen, in buckets whose width grows with the duration, so that microseconds and hours fit
// into one kilobyte and every value is known to a quarter of itself at the worst.
//
// The buckets are fixed: histograms of workers, of versions of prongd and of machines add up. Four of them to an
// octave; see bucket_of(). (The idea of a fixed number of sub-buckets in each power of two is HdrHistogram's.)
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "ipc/counter.hpp"

namespace prong::ipc {

// 2^34 us are 4 h 46 min: from there on everything is in the last bucket.
inline constexpr std::size_t kBuckets = 132;

// Which bucket counts a duration of so many microseconds. 0, 1, 2 and 3 us have a bucket each; from 4 us on each octave
// [2^n, 2^(n+1)) has four of the same width: 4, 5, 6, 7, then 8-9, 10-11, 12-13, 14-15, then 16-19, 20-23, ...
[[nodiscard]] std::size_t bucket_of(std::uint64_t microseconds);
// The least duration that a bucket counts, in microseconds; of kBuckets: the end of the last one, as far as it is one.
[[nodiscard]] std::uint64_t bucket_begin(std::size_t bucket);

// In shared memory; zero bytes are its valid initial state. One writer.
class HistogramCells {
 public:
  void add(std::chrono::nanoseconds duration);  // what is negative counts as 0

 private:
  friend class Histogram;
  std::array<Counter, kBuckets> counts_;
  Counter sum_;  // of all durations, microseconds
};

// The same for any number of writers at once, whose additions cost an instruction that locks the cache line.
class SharedHistogram {
 public:
  void observe(std::chrono::nanoseconds duration);  // what is negative counts as 0

 private:
  friend class Histogram;
  std::array<Counter, kBuckets> counts_;
  Counter sum_;  // of all durations, microseconds
};

// What a reader has of it, and of several together.
class Histogram {
 public:
  Histogram() = default;
  [[nodiscard]] static Histogram of(const HistogramCells& cells);
  [[nodiscard]] static Histogram of(const SharedHistogram& cells);

  void merge(const Histogram& other);
  // For whoever reads one from elsewhere: so many more in that bucket, which is below kBuckets; and their sum.
  void add(std::size_t bucket, std::uint64_t count);
  void add_sum(std::chrono::microseconds sum);
  // How many durations there are.
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] std::uint64_t count(std::size_t bucket) const { return counts_.at(bucket); }
  [[nodiscard]] std::chrono::microseconds sum() const;
  // The duration that `fraction` (0 to 1: 0.99) of all do not exceed, taken as spread evenly over its bucket. Nothing:
  // none was counted.
  [[nodiscard]] std::optional<std::chrono::microseconds> percentile(double fraction) const;

 private:
  template <class Cells>
  [[nodiscard]] static Histogram copy_of(const Cells& cells);

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t sum_ = 0;
};

}  // namespace prong::ipc
