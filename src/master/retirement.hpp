// Workers that want to retire because they have reached a limit of their pool: what the supervisor's data say about
// them, for the plan of pool_policy, and what the operator is told. Runs in the master.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "master/generation.hpp"
#include "master/pool_policy.hpp"

namespace prong::master {

// The slots of a pool, as the plan looks at them.
[[nodiscard]] std::vector<SlotView> view_slots(const Pool& pool);

// What bounds the retirements of `pool`, a pool of `generation`, beside the generations that there are.
[[nodiscard]] RetirementRules retirement_rules(std::span<const std::unique_ptr<Generation>> generations,
                                               const Generation& generation, const Pool& pool);

// Its worker asked, for that reason (escaped). False when it need not be told: it has asked before, or leaves anyway.
[[nodiscard]] bool note_wish(Slot& slot, std::string reason, std::uint64_t asked);

// The slots of a pool whose workers go on serving although they want to retire, since what should replace them could
// not start; each is in the list once in its life.
[[nodiscard]] std::vector<Slot*> take_disappointed(Pool& pool);

}  // namespace prong::master
