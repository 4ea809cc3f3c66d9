// How many workers a pool should have, and which slots that means: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "master/slot_machine.hpp"

namespace prong::master {

// Fixed size: what the configuration says (nothing: "auto", one for each usable CPU), changed by TTIN and TTOU
// (`adjustment`). At least 1, at most kMostWorkers.
inline constexpr std::uint32_t kMostWorkers = 1024;  // the range of the key `workers`
[[nodiscard]] std::uint32_t wanted_workers(std::optional<std::uint32_t> configured, std::uint32_t usable_cpus,
                                           std::int32_t adjustment);

// Which slots to start and which to stop, so that `wanted` of them are up. Up means starting, serving or in backoff; a
// slot that drains or is being killed no longer counts, so its replacement starts in another slot at once.
struct SlotPlan {
  std::vector<std::size_t> want_up;  // may name slots behind the end: make them
  std::vector<std::size_t> want_down;
};
[[nodiscard]] SlotPlan plan_slots(std::span<const SlotState> slots, std::uint32_t wanted);

}  // namespace prong::master
