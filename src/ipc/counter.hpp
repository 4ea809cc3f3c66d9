// A number in shared memory with one writer.
#pragma once

#include <atomic>
#include <cstdint>

namespace prong::ipc {

using Counter = std::atomic<std::uint64_t>;
static_assert(Counter::is_always_lock_free, "a lock in shared memory would outlive its owner");

// Only for the counter's one writer, so that a load and a store do (no locked instruction).
inline void add(Counter& counter, std::uint64_t amount) {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

[[nodiscard]] inline std::uint64_t value_of(const Counter& counter) {
  return counter.load(std::memory_order_relaxed);
}

// For what a reader adds up: numbers of a worker may be any bytes, and a sum that stands still at its end tells less
// nonsense than one that begins anew.
[[nodiscard]] inline std::uint64_t saturating_sum(std::uint64_t left, std::uint64_t right) {
  return left + right < left ? ~std::uint64_t{0} : left + right;
}

}  // namespace prong::ipc
