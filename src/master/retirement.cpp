#include "master/retirement.hpp"

#include <algorithm>
#include <utility>

namespace prong::master {
namespace {

// Workers of a generation that was replaced, or given up, and that are not gone yet.
std::uint32_t count_leaving(const Generation& generation, const std::string& name) {
  if (generation.phase != GenerationPhase::kRetiring) return 0;
  std::ptrdiff_t count = 0;
  for (const Pool& pool : generation.pools)
    if (pool.config->name == name)
      count += std::ranges::count_if(pool.slots, [](const Slot& slot) { return slot.pid > 0; });
  return static_cast<std::uint32_t>(count);
}

}  // namespace

std::vector<SlotView> view_slots(const Pool& pool) {
  std::vector<SlotView> views;
  views.reserve(pool.slots.size());
  for (const Slot& slot : pool.slots) {
    // A worker that is killed before it was ready will wait in backoff, and nobody takes its place meanwhile.
    const bool failed_start = slot.state == SlotState::kKilling && !slot.ready_at && slot.stop_plan.steps.empty();
    views.push_back({.state = failed_start ? SlotState::kBackoff : slot.state,
                     .retirement = slot.retirement,
                     .asked = slot.asked_to_retire});
  }
  return views;
}

RetirementRules retirement_rules(std::span<const std::unique_ptr<Generation>> generations, const Generation& generation,
                                 const Pool& pool) {
  RetirementRules rules{.max_unavailable = pool.config->max_unavailable,
                        .may_begin = generation.phase == GenerationPhase::kServing};
  for (const auto& other : generations) {
    if (other.get() == &generation) continue;
    // What is being raised replaces all workers anyway.
    if (other->phase == GenerationPhase::kRaising) rules.may_begin = false;
    rules.leaving_elsewhere += count_leaving(*other, pool.config->name);
  }
  return rules;
}

bool note_wish(Slot& slot, std::string reason, std::uint64_t asked) {
  if (slot.retirement != Retirement::kNone || slot.state != SlotState::kServing) return false;
  slot.retirement = Retirement::kAsked;
  slot.asked_to_retire = asked;
  slot.retirement_reason = std::move(reason);
  return true;
}

std::vector<Slot*> take_disappointed(Pool& pool) {
  std::vector<Slot*> slots;
  for (Slot& slot : pool.slots) {
    if (slot.state != SlotState::kServing || slot.retirement != Retirement::kReplacing) continue;
    if (!std::exchange(slot.told_that_it_stays, true)) slots.push_back(&slot);
  }
  return slots;
}

}  // namespace prong::master
