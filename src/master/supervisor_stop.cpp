// The supervisor's ways to end workers: generations that are replaced, the stop of the daemon, and the steps of one
// stop plan.
#include <fmt/format.h>

#include <csignal>
#include <string>
#include <utility>

#include "log/log.hpp"
#include "master/supervisor.hpp"

namespace prong::master {
namespace {

// A worker that KILL does not end within this time hangs in the kernel; it is said again at this interval.
constexpr std::chrono::seconds kKillPatience{5};
// A worker that runs reads Stop and closes its listeners at once; one that is busy or still starting is not waited for.
constexpr Duration kLetGoTime{1000};

}  // namespace

void Supervisor::retire(Generation& generation, const std::set<std::string>& kept, os::TimePoint now) {
  generation.phase = GenerationPhase::kRetiring;
  for (Pool& pool : generation.pools) {
    pool.serve_backlog = 0;
    for (std::size_t i = 0; i < pool.listeners.size(); ++i)
      if (!kept.contains(pool.listeners[i])) pool.serve_backlog |= std::uint64_t{1} << i;
    // Those that drain already (TERM to the whole process group comes before the master has read its own) hear that
    // there may be less time now.
    for (Slot& slot : pool.slots)
      if (slot.state == SlotState::kDraining) begin_stop({&generation, &pool, &slot}, now);
  }
}

void Supervisor::retire_all(os::TimePoint now) {
  for (const auto& generation : generations_) {
    generation->replaced = false;
    // What an older generation must still serve was settled when it was replaced; all that the serving one listens on
    // is its own from now on.
    if (generation->phase == GenerationPhase::kServing) {
      retire(*generation, {}, now);
      continue;
    }
    generation->phase = GenerationPhase::kRetiring;
    for (Pool& pool : generation->pools)
      for (Slot& slot : pool.slots)
        if (slot.state == SlotState::kDraining) begin_stop({generation.get(), &pool, &slot}, now);
  }
}

void Supervisor::stop_fast(os::TimePoint now) {
  stops_fast_ = true;
  for (const auto& generation : generations_) generation->phase = GenerationPhase::kRetiring;
  for_each_slot([&](const Place& place) {
    if (place.slot->state == SlotState::kVacant || place.slot->state == SlotState::kKilling) return;
    if (place.slot->state != SlotState::kDraining) apply(place, SlotEvent::kWantDown, {}, now);
    if (place.slot->state != SlotState::kDraining) return;
    place.slot->stop_plan = choose_stop_plan(place);
    place.slot->stop_step = 0;
    take_stop_step(place, now);
  });
}

StopPlan Supervisor::choose_stop_plan(const Place& place) const {
  const config::PoolConfig& pool = *place.pool->config;
  if (exec_of(*place.pool) != nullptr && !serves_by_spares(*place.pool))
    return stops_fast_ ? fast_program_stop_plan() : listener_program_stop_plan(pool.graceful_timeout);
  if (place.slot->program.kind != ProgramKind::kNone)
    return stops_fast_ ? fast_program_stop_plan() : connection_program_stop_plan(pool.graceful_timeout);
  if (stops_fast_) return fast_stop_plan();
  // While somebody else serves, an idle client has all the time of the drain for its next request. When the daemon
  // stops, the service is down until the last worker is gone, so only a request that is on its way is waited for.
  const Duration idle_grace = place.generation->replaced ? pool.graceful_timeout : pool.idle_grace();
  return graceful_stop_plan(pool.graceful_timeout, idle_grace);
}

// Also for a worker that drains already: its time can only become shorter.
void Supervisor::begin_stop(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  const bool stops_as_program =
      !slot.stop_plan.steps.empty() && slot.stop_plan.steps.front().kind != StopStepKind::kMessage;
  if (stops_as_program) return;  // it has heard all that there is to say, and its time is the same
  const auto earlier = slot.stop_plan.steps.empty() ? std::nullopt : slot.deadline;
  // A program for a connection has no listener any more.
  const bool listens = slot.program.kind != ProgramKind::kConnection;
  if (slot.stop_plan.steps.empty() && listens) slot.let_go_due = now + kLetGoTime;
  slot.stop_plan = choose_stop_plan(place);
  slot.stop_step = 0;
  take_stop_step(place, now);
  if (earlier && *earlier < *slot.deadline) slot.deadline = earlier;
}

void Supervisor::take_stop_step(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  const StopStep& step = slot.stop_plan.steps.at(slot.stop_step);
  slot.deadline = now + step.patience;
  switch (step.kind) {
    case StopStepKind::kMessage: {
      // Not delivered: the worker does not read, and the next step is for that.
      (void)slot.channel.send(ipc::Stop{.grace = slot.stop_plan.grace,
                                        .idle_grace = slot.stop_plan.idle_grace,
                                        .serve_backlog = place.pool->serve_backlog});
      return;
    }
    case StopStepKind::kWait:
      return;
    case StopStepKind::kSignalLeader:
      slot.program.asked_by = stop_signal(place);
      (void)os::send_signal(slot.pid, slot.program.asked_by);
      return;
    case StopStepKind::kSignalGroup:
      slot.program.asked_by = stop_signal(place);
      (void)os::send_signal_to_group(slot.pid, slot.program.asked_by);
      return;
    case StopStepKind::kTerm:
      log::write(log::Coded::kWarn, MessageCode::kStopNeedsTerm, subject(place),
                 "did not stop within its grace; sending SIGTERM");
      (void)os::send_signal(slot.pid, SIGTERM);
      return;
  }
}

void Supervisor::note_why_killed(const Place& place) {
  Slot& slot = *place.slot;
  if (slot.channel_ended) {
    slot.killed_code = MessageCode::kWorkerLost;
    slot.killed_because = "its channel closed";
  } else if (!slot.stop_plan.steps.empty()) {
    slot.killed_code = MessageCode::kWorkerStopTooSlow;
    slot.killed_because = "it did not stop within its grace";
  } else if (!slot.ready_at) {
    slot.killed_code = MessageCode::kWorkerStartTooSlow;
    slot.killed_because =
        fmt::format("it was not ready within start_timeout = {}", to_text(place.pool->config->start_timeout));
  } else {
    slot.killed_code = MessageCode::kWorkerHung;
    slot.killed_because = "it overran a deadline";
  }
}

void Supervisor::kill(const Place& place, int signal, os::TimePoint now) {
  Slot& slot = *place.slot;
  if (slot.killed_because.empty()) note_why_killed(place);
  slot.deadline = now + kKillPatience;
  slot.killed_with = signal;
  // And what the program has started. Both, since it may not have become the leader of its group yet.
  if (exec_of(*place.pool) != nullptr) (void)os::send_signal_to_group(slot.pid, signal);
  if (auto sent = os::send_signal(slot.pid, signal); !sent)
    log::error(MessageCode::kCannotSignalWorker, "{}", sent.error().text());
}

}  // namespace prong::master
