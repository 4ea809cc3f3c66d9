// Long random walks: a pool whose workers live and die in any order, and whose wanted size changes all the time. The
// model does what the supervisor does with slot machine, pool policy and stop plan, and counts what must never happen.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "master/pool_policy.hpp"
#include "master/slot_machine.hpp"
#include "master/stop_plan.hpp"

namespace prong::master {
namespace {

class Model {
 public:
  explicit Model(std::uint32_t seed) : random_(seed) {}

  void step() {
    if (chance(500)) {
      stopping_ = !stopping_;
    } else if (chance(50)) {
      wanted_ = wanted_workers(below(6), 4, static_cast<std::int32_t>(below(5)) - 2);
    }
    if (!slots_.empty()) one_event(slots_[below(slots_.size())]);
    reconcile();
    hold_invariants();
  }

  // Nothing is wanted any more and every worker ends: all slots must come to rest.
  void stop_and_settle() {
    stopping_ = true;
    reconcile();
    for (Slot& slot : slots_) {
      if (slot.pid != 0) exit_of(slot);
      if (slot.state == SlotState::kBackoff) apply(slot, SlotEvent::kWantDown);
    }
    reconcile();
  }

  [[nodiscard]] const std::string& violation() const { return violation_; }
  [[nodiscard]] std::uint64_t forks() const { return forks_; }
  [[nodiscard]] std::uint64_t burials() const { return burials_; }
  [[nodiscard]] std::uint64_t seen(SlotAction action) { return actions_[action]; }
  [[nodiscard]] bool all_vacant() const {
    return std::ranges::all_of(slots_, [](const Slot& slot) { return slot.state == SlotState::kVacant; });
  }

 private:
  struct Slot {
    SlotState state = SlotState::kVacant;
    int pid = 0;
    bool said_ready = false;
    bool deadline = false;
    bool was_draining = false;
    std::size_t stop_step = 0;
  };

  std::size_t below(std::size_t limit) { return random_() % limit; }
  bool chance(std::size_t one_in) { return below(one_in) == 0; }
  void violated(const std::string& what) {
    if (violation_.empty()) violation_ = what;
  }

  // One thing that the world can do to this slot now.
  void one_event(Slot& slot) {
    std::vector<std::function<void()>> possible;
    if (slot.pid != 0) {
      possible.emplace_back([&] { exit_of(slot); });
      possible.emplace_back([&] { apply(slot, SlotEvent::kChannelEof); });
      if (!slot.said_ready) {
        const auto ready = [&] {
          slot.said_ready = true;
          apply(slot, SlotEvent::kReady);
        };
        for (int weight = 0; weight < 6; ++weight) possible.emplace_back(ready);
      }
    }
    if (slot.deadline) {
      possible.emplace_back([&] {
        slot.deadline = false;
        apply(slot, SlotEvent::kDeadline, {.stop_steps_left = slot.stop_step + 1 < plan_.steps.size()});
      });
    }
    if (!possible.empty()) possible[below(possible.size())]();
  }

  void exit_of(Slot& slot) { apply(slot, SlotEvent::kExited, {.backoff = chance(2)}); }

  void reconcile() {
    std::vector<SlotState> states;
    states.reserve(slots_.size());
    for (const Slot& slot : slots_) states.push_back(slot.state);
    const SlotPlan plan = plan_slots(states, stopping_ ? 0 : wanted_);
    for (const std::size_t i : plan.want_down) apply(slots_.at(i), SlotEvent::kWantDown);
    for (const std::size_t i : plan.want_up) {
      if (i > slots_.size()) violated("a plan leaves a gap");
      if (i == slots_.size()) slots_.emplace_back();
      apply(slots_.at(i), SlotEvent::kWantUp);
    }
    const std::size_t up = count_up();
    if (up != (stopping_ ? 0 : wanted_)) violated("the plan does not give what is wanted");
    if (!plan.want_up.empty() && !plan.want_down.empty()) violated("a plan starts and stops at once");
  }

  [[nodiscard]] std::size_t count_up() const {
    return static_cast<std::size_t>(std::ranges::count_if(slots_, [](const Slot& slot) {
      return slot.state == SlotState::kStarting || slot.state == SlotState::kServing ||
             slot.state == SlotState::kBackoff;
    }));
  }

  void apply(Slot& slot, SlotEvent event, SlotFacts facts = {}) {
    const SlotMove move = next_move(slot.state, event, facts);
    ++actions_[move.action];
    if (slot.state == SlotState::kDraining && event == SlotEvent::kExited && move.state != SlotState::kVacant)
      violated("a draining slot did not end vacant");
    slot.state = move.state;
    act(slot, move.action);
  }

  void act(Slot& slot, SlotAction action) {
    switch (action) {
      case SlotAction::kFork:
        return fork(slot);
      case SlotAction::kBug:
        return violated("an event that can happen has an empty cell");
      case SlotAction::kBury:
      case SlotAction::kBuryAndBackoff:
        if (slot.pid == 0) violated("a burial without a worker");
        ++burials_;
        slot = {.state = slot.state, .deadline = action == SlotAction::kBuryAndBackoff};
        return;
      case SlotAction::kArmStartDeadline:
      case SlotAction::kArmBackoff:
      case SlotAction::kKill:
      case SlotAction::kAbort:
      case SlotAction::kKillAgain:
        slot.deadline = true;
        return;
      case SlotAction::kBeginStop:
        slot.stop_step = 0;
        slot.deadline = true;
        return;
      case SlotAction::kNextStopStep:
        ++slot.stop_step;
        slot.deadline = true;
        if (slot.stop_step >= plan_.steps.size()) violated("a step that the stop plan does not have");
        return;
      case SlotAction::kServe:
        slot.deadline = false;
        return;
      case SlotAction::kNone:
        if (slot.state == SlotState::kVacant) slot.deadline = false;
        return;
    }
  }

  void fork(Slot& slot) {
    if (slot.pid != 0) violated("two workers in a slot");
    if (stopping_) violated("a fork while stopping");
    if (chance(8)) return apply(slot, SlotEvent::kForkFailed);
    slot.pid = ++last_pid_;
    ++forks_;
    apply(slot, SlotEvent::kForked);
  }

  void hold_invariants() {
    std::uint64_t alive = 0;
    for (const Slot& slot : slots_) {
      const bool held = slot.state != SlotState::kVacant && slot.state != SlotState::kBackoff;
      if (held != (slot.pid != 0)) violated("a slot's state does not say whether it is held");
      // Else nothing would ever end this state.
      const bool transient = slot.state != SlotState::kVacant && slot.state != SlotState::kServing;
      if (transient && !slot.deadline) violated("a slot waits without a deadline");
      if (slot.pid != 0) ++alive;
    }
    if (forks_ != burials_ + alive) violated("a fork without its one burial");
  }

  std::mt19937 random_;
  std::vector<Slot> slots_;
  std::uint32_t wanted_ = 2;
  bool stopping_ = false;
  StopPlan plan_ = graceful_stop_plan(Duration{1000}, Duration{100});
  int last_pid_ = 0;
  std::uint64_t forks_ = 0;
  std::uint64_t burials_ = 0;
  std::map<SlotAction, std::uint64_t> actions_;
  std::string violation_;
};

}  // namespace

TEST_CASE("whatever happens to its workers, a pool holds what it should and buries every worker once") {
  constexpr int kSteps = 100'000;
  const std::uint32_t seed = GENERATE(1U, 20'261'123U, 4'294'967'295U);
  INFO("seed " << seed);
  Model model{seed};
  for (int i = 0; i < kSteps && model.violation().empty(); ++i) model.step();
  INFO(model.violation());
  REQUIRE(model.violation().empty());

  model.stop_and_settle();
  INFO(model.violation());
  CHECK(model.violation().empty());
  CHECK(model.all_vacant());
  CHECK(model.forks() == model.burials());

  // A walk that never came to some corner proves nothing about it.
  for (const SlotAction action :
       {SlotAction::kFork, SlotAction::kArmStartDeadline, SlotAction::kArmBackoff, SlotAction::kServe,
        SlotAction::kBeginStop, SlotAction::kNextStopStep, SlotAction::kKill, SlotAction::kKillAgain, SlotAction::kBury,
        SlotAction::kBuryAndBackoff}) {
    INFO("action " << static_cast<int>(action));
    CHECK(model.seen(action) > 10);
  }
}

}  // namespace prong::master
