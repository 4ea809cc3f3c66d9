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
  // kBecomePrograms: its workers become programs, each for a connection; else they may ask to retire.
  enum class Workers : std::uint8_t { kStay, kBecomePrograms };
  explicit Model(std::uint32_t seed, Workers workers = Workers::kStay)
      : random_(seed), becomes_programs_(workers == Workers::kBecomePrograms) {}

  void step() {
    if (chance(500)) {
      stopping_ = !stopping_;
    } else if (chance(50)) {
      wanted_ = wanted_workers(below(6), 4, static_cast<std::int32_t>(below(5)) - 2);
    } else if (chance(50)) {
      rules_ = {.max_unavailable = static_cast<std::uint32_t>(1 + below(3)),
                .leaving_elsewhere = static_cast<std::uint32_t>(below(2)),
                .may_begin = !chance(4)};
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
  [[nodiscard]] std::uint64_t retired() const { return retired_; }

  // Only retirements from here on: all that asked are replaced, one after the other, and there it ends.
  void settle_retirements() {
    stopping_ = false;
    rules_ = {.max_unavailable = 2};
    for (int round = 0; round < 1'000; ++round) {
      reconcile();
      hold_invariants();
      bool moved = false;
      for (Slot& slot : slots_) {
        if (slot.pid == 0) continue;
        if (slot.state == SlotState::kStarting || slot.state == SlotState::kDraining ||
            slot.state == SlotState::kKilling) {
          moved = true;
          settle(slot);
          break;
        }
      }
      for (Slot& slot : slots_) {
        if (slot.state != SlotState::kBackoff) continue;
        moved = true;
        apply(slot, SlotEvent::kDeadline);
      }
      if (!moved) return;
    }
    violated("retirements do not come to an end");
  }
  [[nodiscard]] bool is_calm() const {
    const auto serving = std::ranges::count(slots_, SlotState::kServing, &Slot::state);
    return serving == static_cast<std::ptrdiff_t>(wanted_) && std::ranges::all_of(slots_, [](const Slot& slot) {
             return slot.retirement == Retirement::kNone &&
                    (slot.state == SlotState::kServing || slot.state == SlotState::kVacant);
           });
  }

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
    Retirement retirement = Retirement::kNone;
    std::uint64_t asked = 0;
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
      if (slot.said_ready && slot.state != SlotState::kStarting && becomes_programs_) {
        // What the supervisor lets through of a worker that says Taken.
        possible.emplace_back([&] {
          if (slot.state == SlotState::kTaken) apply(slot, SlotEvent::kReturned);
          if (!chance(4)) apply(slot, SlotEvent::kTaken);
        });
      }
      // Crashes are rare enough for a retirement to come to its end.
      if (slot.state != SlotState::kServing || chance(8)) {
        possible.emplace_back([&] { exit_of(slot); });
        possible.emplace_back([&] { apply(slot, SlotEvent::kChannelEof); });
      }
      if (!slot.said_ready) {
        const auto ready = [&] {
          slot.said_ready = true;
          apply(slot, SlotEvent::kReady);
        };
        for (int weight = 0; weight < 6; ++weight) possible.emplace_back(ready);
      }
      if (slot.state == SlotState::kServing && slot.retirement == Retirement::kNone && !becomes_programs_) {
        const auto ask = [&] {
          slot.retirement = Retirement::kAsked;
          slot.asked = ++last_asked_;
        };
        for (int weight = 0; weight < 3; ++weight) possible.emplace_back(ask);
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
    std::vector<SlotView> views;
    views.reserve(slots_.size());
    for (const Slot& slot : slots_)
      views.push_back({.state = slot.state, .retirement = slot.retirement, .asked = slot.asked});
    const std::size_t wanted = stopping_ ? 0 : wanted_;
    const std::size_t served = count_serving();
    const SlotPlan plan = plan_slots(views, stopping_ ? 0 : wanted_, rules_);
    for (const std::size_t i : plan.begin_replacing) {
      slots_.at(i).retirement = Retirement::kReplacing;
      if (!rules_.may_begin) violated("a retirement begins when none may");
    }
    if (!plan.begin_replacing.empty() && count_leaving() + rules_.leaving_elsewhere > rules_.max_unavailable)
      violated("more leave at once than max_unavailable");
    for (const std::size_t i : plan.want_down) {
      if (slots_.at(i).retirement == Retirement::kReplacing) ++retired_;
      apply(slots_.at(i), SlotEvent::kWantDown);
    }
    if (stopping_)
      for (Slot& slot : slots_)
        if (slot.state == SlotState::kTaken) apply(slot, SlotEvent::kWantDown);
    if (count_serving() < std::min(wanted, served)) violated("a plan leaves fewer serving than are wanted");
    for (const std::size_t i : plan.want_up) {
      if (i > slots_.size()) violated("a plan leaves a gap");
      if (i == slots_.size()) slots_.emplace_back();
      apply(slots_.at(i), SlotEvent::kWantUp);
    }
    const std::size_t up = count_up();
    if (up != wanted + (stopping_ ? 0 : count_replaced())) violated("the plan does not give what is wanted");
    if (up > wanted + kMostUnavailable) violated("more are up than max_unavailable allows");
    const bool stops = std::ranges::any_of(
        plan.want_down, [&](std::size_t i) { return slots_.at(i).retirement != Retirement::kReplacing; });
    if (!plan.want_up.empty() && stops) violated("a plan starts and stops at once");
  }

  [[nodiscard]] std::size_t count_up() const {
    return static_cast<std::size_t>(std::ranges::count_if(slots_, [](const Slot& slot) {
      return slot.state == SlotState::kStarting || slot.state == SlotState::kServing ||
             slot.state == SlotState::kBackoff;
    }));
  }

  [[nodiscard]] std::size_t count_serving() const {
    return static_cast<std::size_t>(std::ranges::count(slots_, SlotState::kServing, &Slot::state));
  }
  // Still serving, with a replacement on its way.
  [[nodiscard]] std::size_t count_replaced() const {
    return static_cast<std::size_t>(std::ranges::count_if(slots_, [](const Slot& slot) {
      return slot.state == SlotState::kServing && slot.retirement == Retirement::kReplacing;
    }));
  }
  [[nodiscard]] std::size_t count_leaving() const {
    return static_cast<std::size_t>(std::ranges::count_if(slots_, [](const Slot& slot) {
      return slot.state == SlotState::kDraining || (slot.pid != 0 && slot.retirement == Retirement::kReplacing);
    }));
  }

  // What a worker does that has no troubles.
  void settle(Slot& slot) {
    if (slot.state != SlotState::kStarting) return apply(slot, SlotEvent::kExited, {.backoff = false});
    slot.said_ready = true;
    apply(slot, SlotEvent::kReady);
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
      const bool transient =
          slot.state != SlotState::kVacant && slot.state != SlotState::kServing && slot.state != SlotState::kTaken;
      if (transient && !slot.deadline) violated("a slot waits without a deadline");
      if (slot.pid != 0) ++alive;
    }
    if (forks_ != burials_ + alive) violated("a fork without its one burial");
  }

  std::mt19937 random_;
  bool becomes_programs_;
  std::vector<Slot> slots_;
  std::uint32_t wanted_ = 2;
  bool stopping_ = false;
  StopPlan plan_ = graceful_stop_plan(Duration{1000}, Duration{100});
  RetirementRules rules_;
  static constexpr std::size_t kMostUnavailable = 3;  // of all rules that there are
  std::uint64_t last_asked_ = 0;
  std::uint64_t retired_ = 0;
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

  model.settle_retirements();
  INFO(model.violation());
  CHECK(model.violation().empty());
  CHECK(model.is_calm());
  CHECK(model.retired() > 300);

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

TEST_CASE("whatever happens to workers that become programs, their places are filled and each is buried once") {
  constexpr int kSteps = 100'000;
  const std::uint32_t seed = GENERATE(2U, 20'261'123U);
  INFO("seed " << seed);
  Model model{seed, Model::Workers::kBecomePrograms};
  for (int i = 0; i < kSteps && model.violation().empty(); ++i) model.step();
  INFO(model.violation());
  REQUIRE(model.violation().empty());
  model.stop_and_settle();
  INFO(model.violation());
  CHECK(model.violation().empty());
  CHECK(model.all_vacant());
  CHECK(model.forks() == model.burials());
}

}  // namespace prong::master
