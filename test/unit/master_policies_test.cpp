// The master's decisions that are pure functions: how many workers and which, when again, how they are stopped.
#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <set>
#include <vector>

#include "master/pool_policy.hpp"
#include "master/respawn_policy.hpp"
#include "master/stop_plan.hpp"
#include "walk.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;
using S = SlotState;
using Indexes = std::vector<std::size_t>;

struct PlanCase {
  std::vector<S> slots;
  std::uint32_t wanted;
  Indexes want_up;
  Indexes want_down;
};

std::vector<SlotView> views_of(const std::vector<S>& states) {
  std::vector<SlotView> views;
  views.reserve(states.size());
  for (const S state : states) views.push_back({.state = state});
  return views;
}

void check(const PlanCase& with) {
  const SlotPlan plan = plan_slots(views_of(with.slots), with.wanted, {});
  CHECK(plan.begin_replacing.empty());
  CHECK(plan.want_up == with.want_up);
  CHECK(plan.want_down == with.want_down);
}

// A worker that serves and asked to retire as the number `turn`.
SlotView asked(std::uint64_t turn) {
  return {.state = S::kServing, .retirement = Retirement::kAsked, .asked = turn};
}
SlotView in(S state) {
  return {.state = state};
}
SlotView replacing(S state) {
  return {.state = state, .retirement = Retirement::kReplacing};
}

struct RetireCase {
  std::vector<SlotView> slots;
  std::uint32_t wanted;
  RetirementRules rules;
  Indexes begin_replacing;
  Indexes want_up;
  Indexes want_down;
};

void check_retiring(const RetireCase& with) {
  const SlotPlan plan = plan_slots(with.slots, with.wanted, with.rules);
  CHECK(plan.begin_replacing == with.begin_replacing);
  CHECK(plan.want_up == with.want_up);
  CHECK(plan.want_down == with.want_down);
}

}  // namespace

TEST_CASE("an empty pool grows to what is wanted") {
  check({{}, 3, {0, 1, 2}, {}});
  check({{}, 0, {}, {}});
  check({{S::kServing}, 3, {1, 2}, {}});
}

TEST_CASE("a pool that is as it should be is left alone") {
  check({{S::kServing, S::kStarting, S::kBackoff}, 3, {}, {}});
  check({{S::kServing, S::kVacant, S::kServing}, 2, {}, {}});
}

TEST_CASE("a vacant slot is filled before a new one is made") {
  check({{S::kServing, S::kVacant, S::kServing}, 4, {1, 3}, {}});
  check({{S::kVacant, S::kVacant, S::kServing}, 2, {0}, {}});
}

TEST_CASE("the replacement of a worker that drains or is killed starts at once, in another slot") {
  check({{S::kDraining, S::kServing}, 2, {2}, {}});
  check({{S::kKilling, S::kServing}, 2, {2}, {}});
  check({{S::kDraining, S::kVacant, S::kServing}, 2, {1}, {}});
}

TEST_CASE("a worker in backoff counts as up: nothing starts in its stead") {
  check({{S::kBackoff}, 1, {}, {}});
}

TEST_CASE("the replacement of a worker that became a program starts at once, in another slot") {
  check({{S::kTaken, S::kServing}, 2, {2}, {}});
  check({{S::kTaken, S::kVacant, S::kServing}, 2, {1}, {}});
  check({{S::kTaken, S::kTaken}, 0, {}, {}});
}

TEST_CASE("spares are kept while there is room for more programs, and no longer") {
  CHECK(wanted_spares(4, 100, 0) == 4);
  CHECK(wanted_spares(4, 100, 96) == 4);
  CHECK(wanted_spares(4, 100, 97) == 3);
  CHECK(wanted_spares(4, 100, 99) == 1);
  CHECK(wanted_spares(4, 100, 100) == 0);
  CHECK(wanted_spares(4, 2, 0) == 2);
  // More may run than are allowed: those of the generation before.
  CHECK(wanted_spares(4, 100, 250) == 0);
}

TEST_CASE("new spares wait for a moment while half of those that are wanted are left") {
  CHECK(spares_may_wait(4, 3));
  CHECK(spares_may_wait(4, 2));
  CHECK_FALSE(spares_may_wait(4, 1));
  CHECK(spares_may_wait(2, 1));
  CHECK_FALSE(spares_may_wait(1, 0));
  CHECK_FALSE(spares_may_wait(0, 0));
}

TEST_CASE("spares and programs together are never more than the most, whatever comes and goes") {
  auto random = test::chance(20'261'123);
  constexpr std::uint32_t kSpare = 3;
  constexpr std::uint32_t kMost = 7;
  std::vector<S> slots;
  std::size_t full = 0;
  for (int step = 0; step < 20'000; ++step) {
    const auto busy = static_cast<std::size_t>(std::ranges::count(slots, S::kTaken));
    const SlotPlan plan = plan_slots(views_of(slots), wanted_spares(kSpare, kMost, busy), {});
    if (!plan.want_down.empty()) FAIL("a spare is stopped although nothing but connections came and went");
    for (const std::size_t i : plan.want_up) {
      if (i >= slots.size()) slots.resize(i + 1, S::kVacant);
      slots[i] = S::kServing;
    }
    const auto spare = static_cast<std::size_t>(std::ranges::count(slots, S::kServing));
    if (spare + busy > kMost) FAIL("more than the most");
    if (spare < kSpare && spare + busy < kMost) FAIL("there was room for a spare");
    if (busy == kMost) ++full;
    S& slot = slots[random() % slots.size()];
    if (slot == S::kServing)
      slot = S::kTaken;
    else if (slot == S::kTaken && random() % 3 == 0)
      slot = S::kVacant;
  }
  CHECK(full > 100);
}

TEST_CASE("those that cost least are stopped first, the last slots before the first") {
  check({{S::kServing, S::kServing, S::kServing}, 2, {}, {2}});
  check({{S::kServing, S::kServing, S::kServing}, 1, {}, {2, 1}});
  check({{S::kBackoff, S::kServing, S::kStarting, S::kServing}, 3, {}, {0}});
  check({{S::kBackoff, S::kServing, S::kStarting, S::kServing}, 2, {}, {0, 2}});
  check({{S::kBackoff, S::kServing, S::kStarting, S::kServing}, 1, {}, {0, 2, 3}});
  check({{S::kBackoff, S::kServing, S::kStarting, S::kServing}, 0, {}, {0, 2, 3, 1}});
}

TEST_CASE("what drains or is killed is not stopped again") {
  check({{S::kDraining, S::kServing, S::kKilling, S::kVacant}, 0, {}, {1}});
}

TEST_CASE("a plan, once applied, gives exactly what is wanted") {
  auto random = test::chance(20'261'123);
  std::vector<S> slots;
  std::size_t wrong = 0;
  for (int step = 0; step < 20'000; ++step) {
    slots.resize(random() % 9, S::kVacant);
    for (S& state : slots) state = kSlotStateText.entries.at(random() % kSlotStateText.entries.size()).first;
    const auto wanted = static_cast<std::uint32_t>(random() % 9);
    const SlotPlan plan = plan_slots(views_of(slots), wanted, {});
    for (const std::size_t i : plan.want_up) {
      if (i > slots.size()) ++wrong;  // no gaps
      if (i >= slots.size()) slots.resize(i + 1, S::kVacant);
      if (slots[i] != S::kVacant) ++wrong;
      slots[i] = S::kStarting;
    }
    for (const std::size_t i : plan.want_down) {
      if (!is_up(slots.at(i))) ++wrong;
      slots[i] = S::kDraining;
    }
    if (std::ranges::count_if(slots, is_up) != static_cast<long>(wanted)) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("a worker that wants to retire gets a replacement in another slot, and serves on") {
  check_retiring({{asked(1)}, 1, {}, {0}, {1}, {}});
  check_retiring({{asked(1), in(S::kVacant), in(S::kServing)}, 2, {}, {0}, {1}, {}});
  check_retiring({{replacing(S::kServing), in(S::kStarting)}, 1, {}, {}, {}, {}});
  check_retiring({{replacing(S::kServing), in(S::kBackoff)}, 1, {}, {}, {}, {}});
}

TEST_CASE("a worker that retires is stopped only when its replacement serves") {
  check_retiring({{replacing(S::kServing), in(S::kServing)}, 1, {}, {}, {}, {0}});
  // Two start, since a sibling has crashed; with the first of them there are just enough without the one that retires.
  check_retiring({{replacing(S::kServing), in(S::kStarting), in(S::kStarting)}, 2, {}, {}, {}, {}});
  check_retiring({{replacing(S::kServing), in(S::kServing), in(S::kStarting)}, 2, {}, {}, {}, {}});
  check_retiring({{replacing(S::kServing), in(S::kServing), in(S::kServing)}, 2, {}, {}, {}, {0}});
}

TEST_CASE("no more than max_unavailable retire at once, those that asked first before the others") {
  check_retiring({{asked(3), asked(1), asked(2)}, 3, {.max_unavailable = 1}, {1}, {3}, {}});
  check_retiring({{asked(3), asked(1), asked(2)}, 3, {.max_unavailable = 2}, {1, 2}, {3, 4}, {}});
  check_retiring({{asked(3), asked(1), asked(2)}, 3, {.max_unavailable = 9}, {1, 2, 0}, {3, 4, 5}, {}});
  check_retiring({{asked(2), replacing(S::kServing), in(S::kStarting)}, 2, {}, {}, {}, {}});
}

TEST_CASE("a worker counts as leaving until it is gone, whatever it leaves for") {
  check_retiring({{asked(2), replacing(S::kDraining)}, 1, {}, {}, {}, {}});
  check_retiring({{asked(2), replacing(S::kKilling)}, 1, {}, {}, {}, {}});
  check_retiring({{asked(2), in(S::kDraining)}, 1, {}, {}, {}, {}});
  check_retiring({{asked(2), in(S::kVacant)}, 1, {}, {0}, {1}, {}});
  // One that crashed does not leave, it is gone.
  check_retiring({{asked(2), in(S::kKilling), in(S::kStarting)}, 2, {}, {0}, {3}, {}});
}

TEST_CASE("workers of an older generation that still drain take from the same budget") {
  check_retiring({{asked(1), asked(2)}, 2, {.max_unavailable = 2, .leaving_elsewhere = 2}, {}, {}, {}});
  check_retiring({{asked(1), asked(2)}, 2, {.max_unavailable = 2, .leaving_elsewhere = 1}, {0}, {2}, {}});
  check_retiring({{asked(1), asked(2)}, 2, {.max_unavailable = 2, .leaving_elsewhere = 3}, {}, {}, {}});
}

TEST_CASE("while another generation is raised no retirement begins, and one that has begun ends") {
  check_retiring({{asked(1)}, 1, {.may_begin = false}, {}, {}, {}});
  check_retiring({{replacing(S::kServing), in(S::kServing)}, 1, {.may_begin = false}, {}, {}, {0}});
}

TEST_CASE("a worker that crashes while its replacement starts leaves no worker too many") {
  check_retiring({{in(S::kVacant), in(S::kStarting)}, 1, {}, {}, {}, {}});
  check_retiring({{in(S::kBackoff), in(S::kStarting)}, 1, {}, {}, {}, {0}});
  check_retiring({{in(S::kBackoff), in(S::kServing)}, 1, {}, {}, {}, {0}});
}

TEST_CASE("when fewer are wanted, those go first that want to") {
  check_retiring({{asked(1), in(S::kServing), in(S::kServing)}, 2, {.may_begin = false}, {}, {}, {0}});
  check_retiring({{replacing(S::kServing), in(S::kServing), in(S::kStarting)}, 1, {}, {}, {}, {0, 2}});
}

TEST_CASE("a pool that stops stops all, those that retire too") {
  check_retiring({{asked(1), replacing(S::kServing), in(S::kStarting), in(S::kServing)}, 0, {}, {}, {}, {1, 2, 0, 3}});
}

TEST_CASE("\"auto\" is one worker for each usable CPU") {
  CHECK(wanted_workers(std::nullopt, 6, 0) == 6);
  CHECK(wanted_workers(3, 6, 0) == 3);
}

TEST_CASE("TTIN and TTOU change the number, which stays between one and the most") {
  CHECK(wanted_workers(3, 1, 2) == 5);
  CHECK(wanted_workers(3, 1, -2) == 1);
  CHECK(wanted_workers(3, 1, -3) == 1);
  CHECK(wanted_workers(std::nullopt, 2, -100) == 1);
  CHECK(wanted_workers(std::nullopt, 0, 0) == 1);
  CHECK(wanted_workers(kMostWorkers, 1, 1) == kMostWorkers);
  CHECK(wanted_workers(1, 1, std::numeric_limits<std::int32_t>::max()) == kMostWorkers);
  CHECK(wanted_workers(std::numeric_limits<std::uint32_t>::max(), 1, std::numeric_limits<std::int32_t>::max()) ==
        kMostWorkers);
  CHECK(wanted_workers(std::numeric_limits<std::uint32_t>::max(), 1, 0) == kMostWorkers);
  CHECK(wanted_workers(5, 1, std::numeric_limits<std::int32_t>::min()) == 1);
}

TEST_CASE("a worker that had served is replaced without a pause") {
  CHECK(had_served({.was_ready = true, .connections = 1, .served = 0ns}));
  CHECK(had_served({.was_ready = true, .connections = 0, .served = 1s}));
  CHECK(respawn_pause(0, 60s) == 0ms);
}

TEST_CASE("a worker that never was ready, or only for a moment, had not served") {
  CHECK_FALSE(had_served({}));
  CHECK_FALSE(had_served({.was_ready = true, .connections = 0, .served = 1s - 1ns}));
  // A scoreboard is written by the worker: without Ready it says nothing.
  CHECK_FALSE(had_served({.was_ready = false, .connections = 5, .served = 10s}));
}

TEST_CASE("each failed start doubles the pause, up to the most") {
  CHECK(respawn_pause(1, 60s) == 100ms);
  CHECK(respawn_pause(2, 60s) == 200ms);
  CHECK(respawn_pause(3, 60s) == 400ms);
  CHECK(respawn_pause(10, 60s) == 51'200ms);
  CHECK(respawn_pause(11, 60s) == 60s);
  CHECK(respawn_pause(12, 60s) == 60s);
}

TEST_CASE("the pause never wraps around and never shrinks") {
  Duration last{};
  for (std::uint32_t failures = 0; failures < 200; ++failures) {
    const Duration pause = respawn_pause(failures, 24h);
    if (pause < last) FAIL("shorter after " << failures << " failures");
    last = pause;
  }
  CHECK(last == 24h);
  CHECK(respawn_pause(std::numeric_limits<std::uint32_t>::max(), 60s) == 60s);
}

TEST_CASE("the most may be less than the first pause") {
  CHECK(respawn_pause(1, 30ms) == 30ms);
  CHECK(respawn_pause(7, 0ms) == 0ms);
}

TEST_CASE("a graceful stop asks with the whole grace, then insists") {
  const StopPlan plan = graceful_stop_plan(30s, 2s);
  CHECK(plan.grace == 30s);
  CHECK(plan.idle_grace == 2s);
  REQUIRE(plan.steps.size() == 2);
  CHECK(plan.steps[0].kind == StopStepKind::kMessage);
  // The worker cuts its connections itself when the grace is over, so it needs a moment more.
  CHECK(plan.steps[0].patience > plan.grace);
  CHECK(plan.steps[1].kind == StopStepKind::kTerm);
  CHECK(plan.steps[1].patience > 0ms);
}

TEST_CASE("idle connections never get more than the grace") {
  CHECK(graceful_stop_plan(1s, 30s).idle_grace == 1s);
  CHECK(graceful_stop_plan(0s, 30s).idle_grace == 0s);
  CHECK(graceful_stop_plan(5s, 5s).idle_grace == 5s);
}

TEST_CASE("a program that serves a connection is left alone for the grace, then its group is asked") {
  const StopPlan plan = connection_program_stop_plan(30s);
  REQUIRE(plan.steps.size() == 2);
  CHECK(plan.steps[0].kind == StopStepKind::kWait);
  CHECK(plan.steps[0].patience == 30s);
  CHECK(plan.steps[1].kind == StopStepKind::kSignalGroup);
  CHECK(plan.steps[1].patience == 5s);
}

TEST_CASE("a program that accepts by itself is asked at once and has the grace to finish") {
  const StopPlan plan = listener_program_stop_plan(30s);
  REQUIRE(plan.steps.size() == 1);
  CHECK(plan.steps[0].kind == StopStepKind::kSignalLeader);
  CHECK(plan.steps[0].patience == 30s);
}

TEST_CASE("a fast stop asks programs with all that they started, and waits a moment") {
  const StopPlan plan = fast_program_stop_plan();
  REQUIRE(plan.steps.size() == 1);
  CHECK(plan.steps[0].kind == StopStepKind::kSignalGroup);
  CHECK(plan.steps[0].patience > 0ms);
  CHECK(plan.steps[0].patience <= 1s);
}

TEST_CASE("a fast stop gives no grace and a short patience") {
  const StopPlan plan = fast_stop_plan();
  CHECK(plan.grace == 0ms);
  CHECK(plan.idle_grace == 0ms);
  REQUIRE(plan.steps.size() == 1);
  CHECK(plan.steps[0].kind == StopStepKind::kMessage);
  CHECK(plan.steps[0].patience > 0ms);
  CHECK(plan.steps[0].patience <= 1s);
}

}  // namespace prong::master
