#include "master/pool_policy.hpp"

#include <algorithm>

namespace prong::master {
namespace {

bool is_up(SlotState state) {
  switch (state) {
    case SlotState::kStarting:
    case SlotState::kServing:
    case SlotState::kBackoff:
      return true;
    case SlotState::kVacant:
    case SlotState::kDraining:
    case SlotState::kKilling:
      return false;
  }
  return false;
}

// Stops those first that cost least to lose: in backoff, then starting, then serving; the last slots first.
void choose_down(std::span<const SlotState> slots, std::size_t surplus, std::vector<std::size_t>& chosen) {
  for (const SlotState victim : {SlotState::kBackoff, SlotState::kStarting, SlotState::kServing}) {
    for (std::size_t i = slots.size(); i-- > 0 && surplus > 0;) {
      if (slots[i] != victim) continue;
      chosen.push_back(i);
      --surplus;
    }
  }
}

}  // namespace

std::uint32_t wanted_workers(std::optional<std::uint32_t> configured, std::uint32_t usable_cpus,
                             std::int32_t adjustment) {
  const std::int64_t wanted = std::int64_t{configured.value_or(usable_cpus)} + adjustment;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(wanted, 1, kMostWorkers));
}

SlotPlan plan_slots(std::span<const SlotState> slots, std::uint32_t wanted) {
  SlotPlan plan;
  const auto up = static_cast<std::size_t>(std::ranges::count_if(slots, is_up));
  if (up > wanted) choose_down(slots, up - wanted, plan.want_down);
  std::size_t missing = up < wanted ? wanted - up : 0;
  for (std::size_t i = 0; missing > 0; ++i) {
    if (i < slots.size() && slots[i] != SlotState::kVacant) continue;
    plan.want_up.push_back(i);
    --missing;
  }
  return plan;
}

}  // namespace prong::master
