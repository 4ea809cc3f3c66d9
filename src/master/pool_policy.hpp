// How many workers a pool should have, and which slots that means: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/units.hpp"
#include "master/slot_machine.hpp"

namespace prong::master {

// Fixed size: what the configuration says (nothing: "auto", one for each usable CPU), changed by TTIN and TTOU
// (`adjustment`). At least 1, at most kMostWorkers.
inline constexpr std::uint32_t kMostWorkers = 1024;  // the range of the key `workers`
[[nodiscard]] std::uint32_t wanted_workers(std::optional<std::uint32_t> configured, std::uint32_t usable_cpus,
                                           std::int32_t adjustment);

// Of workers that become a program for one connection each: `spare` free ones wait for the next connection, so that its
// fork is already paid, but never more than may still become programs: `busy` of `most` have. At 0 connections wait in
// the backlog.
[[nodiscard]] std::uint32_t wanted_spares(std::uint32_t spare, std::uint32_t most, std::size_t busy);

// Whether new spares can wait for a moment, because `left` of those that are wanted wait for connections: the one that
// was taken is about to become its program, with a client waiting, and a fork at that moment takes the CPU and the
// kernel's locks from it. Most programs say something within a millisecond. Measured with 180 connections/s of cat in
// turn: median from connect to first byte 1,014 us with 1 ms, 990 with 2, 1,036 with 5, 1,031 with 10.
[[nodiscard]] bool spares_may_wait(std::uint32_t wanted, std::size_t left);
inline constexpr Duration kSpareDelay{2};

// Whether a worker in this state is, or may become, one of those that wait for work: it counts for `wanted` below.
[[nodiscard]] bool is_up(SlotState state);

// Whether the worker of a slot is to be replaced because it wants to (max_requests, max_lifetime, max_memory).
enum class Retirement : std::uint8_t {
  kNone,
  kAsked,      // it waits for its turn, and serves
  kReplacing,  // its replacement was started; it serves until that one does, then it drains
};

// What the plan has to know about a slot.
struct SlotView {
  SlotState state = SlotState::kVacant;
  Retirement retirement = Retirement::kNone;
  std::uint64_t asked = 0;  // the order in which they asked: the smallest leaves first
};

// What bounds how many retire at once.
struct RetirementRules {
  std::uint32_t max_unavailable = 1;
  std::uint32_t leaving_elsewhere = 0;  // workers of this pool's older generations that are not gone yet
  bool may_begin = true;                // false: the generation does not serve, or another one is being raised
};

// Which slots to start and which to stop, so that `wanted` of them are up. Up means starting, serving or in backoff; a
// slot that is taken, drains or is being killed no longer counts, so its replacement starts in another slot at once.
//
// A worker that retires leaves room for its replacement first: while it is kReplacing and serves, one slot more is up;
// it is stopped when more than `wanted` serve. It counts against max_unavailable until it is gone, as every worker does
// that drains.
struct SlotPlan {
  std::vector<std::size_t> begin_replacing;  // kAsked -> kReplacing, before anything else
  std::vector<std::size_t> want_up;          // may name slots behind the end: make them
  std::vector<std::size_t> want_down;
};
[[nodiscard]] SlotPlan plan_slots(std::span<const SlotView> slots, std::uint32_t wanted, const RetirementRules& rules);

}  // namespace prong::master
