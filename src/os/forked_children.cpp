#include "os/forked_children.hpp"

#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "os/signals.hpp"

namespace prong::os {
namespace {

// The descriptors of a process are one table by nature, and a handler of pthread_atfork(3) gets no argument.
// A bit for each; those above are not closed in children. Pages that are never touched cost nothing.
constexpr std::size_t kMost = std::size_t{1} << 20U;
constexpr std::size_t kBits = 64;
struct Owned {
  std::atomic<bool> is_kept = false;
  std::array<std::atomic<std::uint64_t>, kMost / kBits> words = {};
  void (*reset_more)() = nullptr;
};
constinit Owned owned;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

bool is_noted(int fd) {
  return fd >= 0 && static_cast<std::size_t>(fd) < kMost && owned.is_kept.load(std::memory_order_relaxed);
}

std::uint64_t bit_of(int fd) {
  return std::uint64_t{1} << static_cast<std::size_t>(fd) % kBits;
}

// In the child, where only this thread is left. Async-signal-safe, as another thread may have held any lock.
void in_child() {
  for (std::size_t i = 0; i < owned.words.size(); ++i) {
    std::uint64_t word = owned.words[i].load(std::memory_order_relaxed);
    for (; word != 0; word &= word - 1)
      (void)::close(static_cast<int>(i * kBits + static_cast<std::size_t>(std::countr_zero(word))));
  }
  owned.is_kept.store(false, std::memory_order_relaxed);
  reset_caught_signals();
  owned.reset_more();
}

}  // namespace

void isolate_forked_children(void (*reset_more)()) {
  owned.reset_more = reset_more;
  owned.is_kept.store(true, std::memory_order_relaxed);
  (void)::pthread_atfork(nullptr, nullptr, in_child);  // ENOMEM: children are as fork(2) makes them
}

void note_owned(int fd) noexcept {
  if (is_noted(fd)) owned.words[static_cast<std::size_t>(fd) / kBits].fetch_or(bit_of(fd), std::memory_order_relaxed);
}

void note_given_up(int fd) noexcept {
  if (is_noted(fd)) owned.words[static_cast<std::size_t>(fd) / kBits].fetch_and(~bit_of(fd), std::memory_order_relaxed);
}

}  // namespace prong::os
