// The supervisor's eye on `event` workers: those that are stuck in a call of their application are ended (call_watch).
#include <fmt/format.h>

#include <algorithm>

#include "log/log.hpp"
#include "master/call_watch.hpp"
#include "master/supervisor.hpp"

namespace prong::master {

// Only workers that serve are looked at: one that starts has its start_timeout, one that drains its grace.
void Supervisor::plan_look(Pool& pool, os::TimePoint now) {
  const auto apart = time_between_looks(*pool.config);
  if (!apart || std::ranges::find(pool.slots, SlotState::kServing, &Slot::state) == pool.slots.end())
    pool.look_due.reset();
  else if (!pool.look_due)
    pool.look_due = now + *apart;
}

void Supervisor::look_at_calls(os::TimePoint now) {
  for (const auto& generation : generations_)
    for (Pool& pool : generation->pools) {
      if (!pool.look_due || *pool.look_due > now) continue;
      pool.look_due.reset();  // plan_look() sets the next one
      for (Slot& slot : pool.slots) look_at_call({generation.get(), &pool, &slot}, now);
    }
}

void Supervisor::look_at_call(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  if (slot.state != SlotState::kServing || !slot.scoreboard) return;
  const Duration timeout = place.pool->config->request_timeout;
  const auto reading = slot.scoreboard->threads().front().read(now);
  slot.call = watch_call(slot.call, reading, now);
  if (!reading || !is_stuck(slot.call, timeout, now)) return;
  slot.departure = Departure::kRequestTimeout;
  slot.killed_code = MessageCode::kWorkerHung;
  slot.killed_because = fmt::format("the loop was in {}, request_timeout = {}",
                                    call_text(*reading, module_of(*place.pool), now), to_text(timeout));
  apply(place, SlotEvent::kDeadline, {}, now);
}

}  // namespace prong::master
