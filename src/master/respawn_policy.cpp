#include "master/respawn_policy.hpp"

#include <algorithm>

namespace prong::master {
namespace {

// A worker that was ready this long and idle has shown that starting works.
constexpr std::chrono::seconds kProven{1};
// Short enough for a hiccup to go unnoticed, long enough that a crash loop costs less than a hundredth of a core (a
// fork and start of the smallest worker takes below 1 ms, facts.md).
constexpr Duration kFirstPause{100};

}  // namespace

bool had_served(const LifeFacts& facts) {
  return facts.was_ready && (facts.connections > 0 || facts.served >= kProven);
}

Duration respawn_pause(std::uint32_t failures, Duration most) {
  if (failures == 0) return Duration::zero();
  constexpr std::uint32_t kMostDoublings = 20;  // far above any `most`, far below an overflow
  const Duration pause = kFirstPause * (1LL << std::min(failures - 1, kMostDoublings));
  return std::min(pause, most);
}

}  // namespace prong::master
