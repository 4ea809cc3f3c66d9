// Workers that want to retire, in the supervisor's data.
#include <catch2/catch.hpp>

#include <memory>
#include <utility>
#include <vector>

#include "config/builder.hpp"
#include "master/retirement.hpp"

namespace prong::master {
namespace {

using Generations = std::vector<std::unique_ptr<Generation>>;

// A generation of one pool, with workers in those states.
std::unique_ptr<Generation> generation(GenerationPhase phase, const std::vector<SlotState>& states,
                                       const std::string& name = "shop") {
  config::Config config = config::for_static("/", "127.0.0.1:80");
  config.pools.front().name = name;
  config.pools.front().max_unavailable = 3;
  auto made = std::make_unique<Generation>();
  made->phase = phase;
  made->config = std::make_shared<const config::Config>(std::move(config));
  made->pools.emplace_back();
  made->pools.front().config = &made->config->pools.front();
  for (const SlotState state : states) {
    Slot slot;
    slot.state = state;
    if (state != SlotState::kVacant && state != SlotState::kBackoff) slot.pid = 1;
    made->pools.front().slots.push_back(std::move(slot));
  }
  return made;
}

RetirementRules rules_of_last(const Generations& generations) {
  return retirement_rules(generations, *generations.back(), generations.back()->pools.front());
}

}  // namespace

TEST_CASE("a worker's wish is noted once, and only while it serves") {
  Slot slot;
  slot.state = SlotState::kDraining;
  CHECK_FALSE(note_wish(slot, "old", 1));
  CHECK(slot.retirement == Retirement::kNone);
  slot.state = SlotState::kServing;
  CHECK(note_wish(slot, "old", 1));
  CHECK(slot.retirement == Retirement::kAsked);
  CHECK_FALSE(note_wish(slot, "older", 2));
  CHECK(slot.retirement_reason == "old");
  CHECK(slot.asked_to_retire == 1);
  slot.retirement = Retirement::kReplacing;
  CHECK_FALSE(note_wish(slot, "older", 3));
  CHECK(slot.retirement == Retirement::kReplacing);
}

TEST_CASE("in a pool that serves and is alone, only max_unavailable bounds the retirements") {
  Generations generations;
  generations.push_back(generation(GenerationPhase::kServing, {SlotState::kServing, SlotState::kDraining}));
  const RetirementRules rules = rules_of_last(generations);
  CHECK(rules.max_unavailable == 3);
  CHECK(rules.leaving_elsewhere == 0);
  CHECK(rules.may_begin);
}

TEST_CASE("workers of replaced generations count while they live, those of other pools never") {
  Generations generations;
  generations.push_back(generation(GenerationPhase::kRetiring, {SlotState::kDraining, SlotState::kKilling,
                                                                SlotState::kVacant, SlotState::kBackoff}));
  generations.push_back(generation(GenerationPhase::kRetiring, {SlotState::kDraining}, "files"));
  generations.push_back(generation(GenerationPhase::kRetiring, {SlotState::kDraining}));
  generations.push_back(generation(GenerationPhase::kServing, {SlotState::kServing}));
  const RetirementRules rules = rules_of_last(generations);
  CHECK(rules.leaving_elsewhere == 3);
  CHECK(rules.may_begin);
}

TEST_CASE("no retirement begins while a generation is raised, neither in it nor in the one that serves") {
  Generations generations;
  generations.push_back(generation(GenerationPhase::kServing, {SlotState::kServing}));
  generations.push_back(generation(GenerationPhase::kRaising, {SlotState::kServing}));
  CHECK_FALSE(rules_of_last(generations).may_begin);
  CHECK_FALSE(retirement_rules(generations, *generations.front(), generations.front()->pools.front()).may_begin);
  CHECK(rules_of_last(generations).leaving_elsewhere == 0);
}

TEST_CASE("a worker that was killed before it was ready is looked at as in backoff") {
  Generations generations;
  generations.push_back(generation(GenerationPhase::kServing, {SlotState::kKilling, SlotState::kServing}));
  Pool& pool = generations.front()->pools.front();
  CHECK(view_slots(pool)[0].state == SlotState::kBackoff);
  CHECK(view_slots(pool)[1].state == SlotState::kServing);
  pool.slots[0].ready_at = os::TimePoint{};
  CHECK(view_slots(pool)[0].state == SlotState::kKilling);
}

TEST_CASE("that a worker stays since its replacement cannot start is told once") {
  Generations generations;
  generations.push_back(generation(GenerationPhase::kServing, {SlotState::kServing, SlotState::kServing}));
  Pool& pool = generations.front()->pools.front();
  CHECK(take_disappointed(pool).empty());
  (void)note_wish(pool.slots[1], "old", 1);
  CHECK(take_disappointed(pool).empty());
  pool.slots[1].retirement = Retirement::kReplacing;
  CHECK(take_disappointed(pool) == std::vector<Slot*>{&pool.slots[1]});
  CHECK(take_disappointed(pool).empty());
}

}  // namespace prong::master
