#include "master/pool_policy.hpp"

#include <algorithm>
#include <utility>

namespace prong::master {
namespace {

bool is_leaving(const SlotView& slot) {
  return slot.state == SlotState::kDraining ||
         (slot.retirement == Retirement::kReplacing && slot.state != SlotState::kVacant);
}

bool is_being_replaced(const SlotView& slot) {
  return slot.state == SlotState::kServing && slot.retirement == Retirement::kReplacing;
}

// Those that asked first begin, as many as there is room for.
void begin_retirements(std::vector<SlotView>& slots, const RetirementRules& rules, SlotPlan& plan) {
  std::vector<std::size_t> waiting;
  for (std::size_t i = 0; i < slots.size(); ++i)
    if (slots[i].state == SlotState::kServing && slots[i].retirement == Retirement::kAsked) waiting.push_back(i);
  std::ranges::sort(waiting, {}, [&](std::size_t i) { return slots[i].asked; });
  const auto leaving = static_cast<std::size_t>(std::ranges::count_if(slots, is_leaving)) + rules.leaving_elsewhere;
  const std::size_t room = leaving < rules.max_unavailable ? rules.max_unavailable - leaving : 0;
  waiting.resize(std::min(waiting.size(), room));
  for (const std::size_t i : waiting) slots[i].retirement = Retirement::kReplacing;
  plan.begin_replacing = std::move(waiting);
}

// Those whose replacement serves go: never so many that fewer than `wanted` serve.
void end_retirements(std::vector<SlotView>& slots, std::uint32_t wanted, SlotPlan& plan) {
  auto serving = std::ranges::count(slots, SlotState::kServing, &SlotView::state);
  for (std::size_t i = 0; i < slots.size() && serving > std::int64_t{wanted}; ++i) {
    if (!is_being_replaced(slots[i])) continue;
    slots[i].state = SlotState::kDraining;
    plan.want_down.push_back(i);
    --serving;
  }
}

// Stops those first that cost least to lose: in backoff, then starting, then serving, of which those that want to
// leave; the last slots first.
void choose_down(std::span<const SlotView> slots, std::size_t surplus, std::vector<std::size_t>& chosen) {
  const auto choose = [&](auto is_victim) {
    for (std::size_t i = slots.size(); i-- > 0 && surplus > 0;) {
      if (!is_victim(slots[i])) continue;
      chosen.push_back(i);
      --surplus;
    }
  };
  choose([](const SlotView& slot) { return slot.state == SlotState::kBackoff; });
  choose([](const SlotView& slot) { return slot.state == SlotState::kStarting; });
  const auto wants_to = [](const SlotView& slot) { return slot.retirement != Retirement::kNone; };
  choose([&](const SlotView& slot) { return slot.state == SlotState::kServing && wants_to(slot); });
  choose([&](const SlotView& slot) { return slot.state == SlotState::kServing && !wants_to(slot); });
}

}  // namespace

std::uint32_t wanted_workers(std::optional<std::uint32_t> configured, std::uint32_t usable_cpus,
                             std::int32_t adjustment) {
  const std::int64_t wanted = std::int64_t{configured.value_or(usable_cpus)} + adjustment;
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(wanted, 1, kMostWorkers));
}

std::uint32_t wanted_spares(std::uint32_t spare, std::uint32_t most, std::size_t busy) {
  const std::size_t room = busy < most ? most - busy : 0;
  return static_cast<std::uint32_t>(std::min<std::size_t>(spare, room));
}

bool spares_may_wait(std::uint32_t wanted, std::size_t left) {
  return left > 0 && 2 * left >= wanted;
}

bool is_up(SlotState state) {
  switch (state) {
    case SlotState::kStarting:
    case SlotState::kServing:
    case SlotState::kBackoff:
      return true;
    case SlotState::kVacant:
    case SlotState::kTaken:
    case SlotState::kDraining:
    case SlotState::kKilling:
      return false;
  }
  return false;
}

SlotPlan plan_slots(std::span<const SlotView> slots, std::uint32_t wanted, const RetirementRules& rules) {
  SlotPlan plan;
  std::vector<SlotView> after{slots.begin(), slots.end()};
  if (rules.may_begin && wanted > 0) begin_retirements(after, rules, plan);
  end_retirements(after, wanted, plan);
  const auto replaced = static_cast<std::size_t>(std::ranges::count_if(after, is_being_replaced));
  const std::size_t target = wanted + replaced;
  const auto up = static_cast<std::size_t>(std::ranges::count_if(after, is_up, &SlotView::state));
  if (up > target) choose_down(after, up - target, plan.want_down);
  std::size_t missing = up < target ? target - up : 0;
  for (std::size_t i = 0; missing > 0; ++i) {
    if (i < after.size() && after[i].state != SlotState::kVacant) continue;
    plan.want_up.push_back(i);
    --missing;
  }
  return plan;
}

}  // namespace prong::master
