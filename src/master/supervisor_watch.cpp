// The supervisor's eye on workers that are stuck in a call of their application whose time nobody else keeps
// (call_watch): they are ended, or replaced while their other threads finish what they have.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

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
  const config::PoolConfig& pool = *place.pool->config;
  const std::vector<std::optional<ipc::ThreadReading>> threads = threads_of(slot, now);
  slot.calls.resize(threads.size());
  std::size_t stuck = 0;
  std::string calls;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    const std::optional<ipc::ThreadReading>& thread = threads[i];
    slot.calls[i] = watch_call(slot.calls[i], thread, pool, now);
    if (!thread || !is_stuck(slot.calls[i], pool.request_timeout, now)) continue;
    ++stuck;
    calls += fmt::format("{}{}", calls.empty() ? "" : ", ", call_text(*thread, module_of(*place.pool), now));
  }
  if (stuck == 0) return;
  const std::string timeout = to_text(pool.request_timeout);
  if (stuck < threads.size()) {
    // The others finish what they have.
    log::write(
        log::Coded::kError, MessageCode::kRequestOverran, subject(place),
        fmt::format("is in {}, request_timeout = {}; its thread is lost, so this worker finishes what it has and "
                    "is replaced",
                    calls, timeout));
    return note_leaving(place, fmt::format("is in {}, request_timeout = {}", calls, timeout),
                        Departure::kRequestTimeout, now);
  }
  slot.departure = Departure::kRequestTimeout;
  slot.killed_code = MessageCode::kWorkerHung;
  slot.killed_because =
      fmt::format("{} was in {}, request_timeout = {}",
                  pool.concurrency == config::Concurrency::kEvent ? "the loop" : "it", calls, timeout);
  apply(place, SlotEvent::kDeadline, {}, now);
}

}  // namespace prong::master
