#include "master/supervisor.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/escape.hpp"
#include "log/log.hpp"
#include "master/obituary.hpp"
#include "master/pool_policy.hpp"
#include "master/respawn_policy.hpp"
#include "master/retirement.hpp"
#include "os/cpu.hpp"
#include "os/signals.hpp"

namespace prong::master {
namespace {

// A fork that failed is tried again soon: the cause (a process limit, memory) may go away at any time.
constexpr Duration kMostForkPause{5000};

LifeFacts life_facts(const Slot& slot, os::TimePoint now) {
  LifeFacts facts;
  facts.was_ready = slot.ready_at.has_value();
  // A program for a connection has one, whatever the scoreboard says.
  if (slot.program.kind == ProgramKind::kConnection)
    facts.connections = 1;
  else
    facts.connections = totals_of(slot).counts.connections;
  if (slot.ready_at) facts.served = now - *slot.ready_at;
  return facts;
}

// A process closes its descriptors before its parent can reap it (Linux kernel/exit.c: exit_files comes before
// exit_notify), so the end of a channel nearly always means that SIGCHLD follows. Only a worker that is still there
// after this time has closed its channel and goes on.
constexpr Duration kExitTime{100};

const config::ModuleConfig* module_config_of(const Pool& pool) {
  return std::get_if<config::ModuleConfig>(&pool.config->app);
}

bool is_same(const std::timespec& a, const std::timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

std::string module_of(const Pool& pool) {
  constexpr std::size_t kLongestPath = 4'096;
  const auto* const module = module_config_of(pool);
  return module == nullptr ? std::string{} : escaped(module->path, kLongestPath, Quotes::kKeep);
}

void Supervisor::note_module_file(const Place& place) {
  const auto* const module = module_config_of(*place.pool);
  if (module == nullptr) return;
  if (auto info = os::file_info(module->path)) place.slot->module_file = *info;
}

// The worker has the file mapped: whoever writes into it changes the code under its feet, and whoever cuts it takes
// that away. A file of that name that was put in its place is another one.
bool Supervisor::module_was_overwritten(const Place& place) {
  const auto* const module = module_config_of(*place.pool);
  const auto& before = place.slot->module_file;
  if (module == nullptr || !before) return false;
  const auto now = os::file_info(module->path);
  return now && now->inode == before->inode && (now->size != before->size || !is_same(now->modified, before->modified));
}

log::Subject Supervisor::subject(const Place& place) {
  return {.pool = place.pool->config->name,
          .slot = place.slot->number,
          .generation = place.pool->generation,
          .pid = place.slot->pid};
}

Generation& Supervisor::raise(const ConfigPlan& plan, std::shared_ptr<log::Output> log, StartPatience patience) {
  auto generation = std::make_unique<Generation>();
  generation->number = ++last_generation_;
  generation->config = plan.config;
  generation->log = std::move(log);
  generation->usable_cpus = os::usable_cpus();
  generation->patience = patience;
  for (std::size_t i = 0; i < plan.config->pools.size(); ++i) {
    if (!plan.only.empty() && plan.config->pools[i].name != plan.only) continue;
    Pool pool;
    pool.config = &plan.config->pools[i];
    pool.generation = generation->number;
    pool.identity = plan.identities[i];
    for (const PlannedListener& listener : plan.listeners[i]) pool.listeners.push_back(listener.address.text);
    generation->pools.push_back(std::move(pool));
  }
  generations_.push_back(std::move(generation));
  return *generations_.back();
}

void Supervisor::adopt(Generation& to, Generation& from) {
  std::vector<Pool> adopted;
  std::vector<Pool> left;
  adopted.reserve(to.config->pools.size());  // places point to pools, which must not move again
  left.reserve(from.pools.size());
  struct Home {
    Generation* generation = nullptr;
    Pool* pool = nullptr;
  };
  std::unordered_map<const Pool*, Home> moved;
  const auto move = [&moved](Pool& pool, Generation& generation, std::vector<Pool>& pools) {
    moved.emplace(&pool, Home{.generation = &generation, .pool = &pools.emplace_back(std::move(pool))});
  };
  for (const config::PoolConfig& wanted : to.config->pools) {
    const auto own = std::ranges::find(to.pools, wanted.name, [](const Pool& pool) { return pool.config->name; });
    if (own != to.pools.end()) {
      move(*own, to, adopted);
      continue;
    }
    const auto other = std::ranges::find(from.pools, wanted.name, [](const Pool& pool) { return pool.config->name; });
    if (other == from.pools.end()) continue;  // cannot be: what `to` wants is what `from` has, but for one
    move(*other, to, adopted);
    adopted.back().config = &wanted;
  }
  for (Pool& pool : from.pools)
    if (!moved.contains(&pool)) move(pool, from, left);
  // The slots themselves have stayed where they were: a deque that is moved does not move what it holds.
  const auto correct = [&moved](Place& place) {
    const auto found = moved.find(place.pool);
    if (found == moved.end()) return;
    place.generation = found->second.generation;
    place.pool = found->second.pool;
  };
  for (auto& [pid, place] : workers_) correct(place);
  for (auto& [key, watched] : watched_) correct(watched.place);
  to.pools = std::move(adopted);
  from.pools = std::move(left);
}

void Supervisor::commit(Generation& generation) const {
  generation.phase = GenerationPhase::kServing;
  for (const Pool& pool : generation.pools) {
    if (is_paused(pool.config->name)) continue;
    for (const Slot& slot : pool.slots) {
      if (slot.state != SlotState::kServing || !slot.channel.valid()) continue;
      // A lost message shows as a worker that never accepts; its channel is empty here, so it cannot be full.
      (void)slot.channel.send(ipc::Serve{});
    }
  }
}

void Supervisor::apply(const Place& place, SlotEvent event, SlotFacts facts, os::TimePoint now) {
  Slot& slot = *place.slot;
  const SlotMove move = next_move(slot.state, event, facts);
  if (move.action == SlotAction::kBug) {
    log::write(log::Coded::kError, MessageCode::kSlotEventUnexpected, subject(place),
               fmt::format("internal: event {} in state {}; ignored, please report it", kSlotEventText.text(event),
                           kSlotStateText.text(slot.state)));
    return;
  }
  if (move.state != slot.state && log::enabled(log::Plain::kDebug))
    log::write(log::Plain::kDebug, subject(place),
               fmt::format("{} -> {} ({})", kSlotStateText.text(slot.state), kSlotStateText.text(move.state),
                           kSlotEventText.text(event)));
  slot.state = move.state;
  act(place, move.action, now);
}

void Supervisor::act(const Place& place, SlotAction action, os::TimePoint now) {
  Slot& slot = *place.slot;
  switch (action) {
    case SlotAction::kNone:
    case SlotAction::kBug:
      if (slot.state == SlotState::kVacant) slot.deadline.reset();
      return;
    case SlotAction::kFork:
      return fork_worker(place, now);
    case SlotAction::kArmStartDeadline:
      slot.deadline = now + place.pool->config->start_timeout;
      return;
    case SlotAction::kArmBackoff:
      slot.deadline = now + std::min(respawn_pause(slot.failures, place.pool->config->max_backoff), kMostForkPause);
      return;
    case SlotAction::kServe:
      slot.deadline.reset();
      slot.ready_at = now;
      note_ready(place, now);
      if (place.generation->phase == GenerationPhase::kServing && slot.channel.valid() && !slot.serves_already &&
          !is_paused(place.pool->config->name))
        (void)slot.channel.send(ipc::Serve{});
      return;
    case SlotAction::kBeginStop:
      return begin_stop(place, now);
    case SlotAction::kNextStopStep:
      ++slot.stop_step;
      return take_stop_step(place, now);
    case SlotAction::kKill:
      return kill(place, SIGKILL, now);
    case SlotAction::kAbort:
      return kill(place, SIGABRT, now);
    case SlotAction::kKillAgain:
      if (slot.killed_with == SIGKILL)
        log::write(log::Coded::kError, MessageCode::kKillWithoutEffect, subject(place),
                   "still there after SIGKILL: it hangs in the kernel (a dead disk or network file system?)");
      else
        log::write(log::Plain::kInfo, subject(place), "still there after SIGABRT; sending SIGKILL");
      return kill(place, SIGKILL, now);
    case SlotAction::kBury:
      return release(slot);
    case SlotAction::kBuryAndBackoff:
      release(slot);
      slot.deadline = now + respawn_pause(slot.failures, place.pool->config->max_backoff);
      return;
  }
}

void Supervisor::note_ready(const Place& place, os::TimePoint now) {
  // Spares come with every connection, and the line about the program says all.
  const bool routine = serves_by_spares(*place.pool) && place.generation->phase == GenerationPhase::kServing;
  const log::Plain level = routine ? log::Plain::kDebug : log::Plain::kInfo;
  if (log::enabled(level))
    log::write(level, subject(place), fmt::format("ready after {}", to_rough_text(now - place.slot->forked_at)));
}

void Supervisor::release(Slot& slot) {
  if (slot.channel.valid()) unwatch(slot.channel.fd(), slot.channel_key);
  slot.deadline.reset();
  workers_.erase(slot.pid);
  slot.pid = 0;
  slot.channel.close();
  slot.scoreboard.reset();
  slot.cell = nullptr;
  slot.asking.reset();
  slot.ready_at.reset();
  slot.stop_plan = {};
  slot.stop_step = 0;
  slot.channel_ended = false;
  slot.exit_due.reset();
  slot.let_go_due.reset();
  slot.calls.clear();
  slot.module_file.reset();
  slot.killed_with = 0;
  slot.killed_because.clear();
  slot.start_failure.clear();
  slot.retired_because.clear();
  slot.departure = Departure::kNone;
  slot.retirement = Retirement::kNone;
  slot.retirement_reason.clear();
  slot.told_that_it_stays = false;
  close_program_ends(slot.program);
  slot.program = {};
  slot.serves_already = false;
}

void Supervisor::note_failed_start(const Place& place, std::string_view reason) {
  Generation& generation = *place.generation;
  if (generation.phase != GenerationPhase::kRaising || generation.failure) return;
  const bool boot = generation.patience == StartPatience::kBoot;
  const std::uint32_t allowed = boot ? place.pool->config->start_attempts : 1;
  if (place.slot->failures < allowed) return;
  generation.failure =
      fmt::format("pool {}: worker[{}] cannot start{}: {}", place.pool->config->name, place.slot->number,
                  allowed > 1 ? fmt::format(" ({} attempts)", allowed) : std::string{}, reason);
}

// After a start of this pool has failed.
void Supervisor::tell_who_stays(const Place& place) {
  for (Slot* slot : take_disappointed(*place.pool))
    log::write(log::Coded::kWarn, MessageCode::kReplacementFailed, subject({place.generation, place.pool, slot}),
               "goes on serving: the worker that should replace it could not start; trying again");
}

void Supervisor::handle_event(std::uint64_t key, os::TimePoint now) {
  const auto found = watched_.find(key);
  if (found == watched_.end()) return;  // it was let go in this very turn
  const Watched watched = found->second;
  switch (watched.source) {
    case Source::kChannel:
      return drain_channel(watched.place, now);
    case Source::kOutput:
      return read_output(watched.place, now);
    case Source::kNotify:
      return read_notices(watched.place, now);
    case Source::kLauncher:
      return read_launcher(watched.place, now);
  }
}

Result<std::uint64_t> Supervisor::watch(int fd, const Place& place, Source source) {
  const std::uint64_t key = ++last_key_;
  if (auto watched = epoll_->add(fd, EPOLLIN, key); !watched) return failure(std::move(watched.error()));
  watched_.emplace(key, Watched{.place = place, .source = source});
  return key;
}

void Supervisor::unwatch(int fd, std::uint64_t key) {
  if (watched_.erase(key) > 0) epoll_->remove(fd);
}

void Supervisor::drain_channel(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  // Bounded, so that a worker that writes all the time cannot keep the master here.
  constexpr int kMostMessages = 16;
  for (int i = 0; i < kMostMessages && slot.channel.valid() && !slot.channel_ended; ++i) {
    const auto received = slot.channel.receive();
    switch (received.kind) {
      case ipc::Channel::Kind::kNothing:
        return;
      case ipc::Channel::Kind::kMessage:
        handle_message(place, received.message, now);
        break;
      case ipc::Channel::Kind::kGarbage:
        slot.killed_code = MessageCode::kWorkerLost;
        slot.killed_because = "it sent something over its channel that is not a message";
        [[fallthrough]];
      case ipc::Channel::Kind::kEnd:
        slot.channel_ended = true;
        slot.exit_due = now + kExitTime;
        unwatch(slot.channel.fd(), slot.channel_key);
        note_channel_end(place, now);
        break;
    }
  }
}

void Supervisor::handle_message(const Place& place, const ipc::Message& message, os::TimePoint now) {
  Slot& slot = *place.slot;
  if (std::holds_alternative<ipc::Ready>(message)) {
    // Untrusted: a second Ready changes nothing.
    if (!slot.ready_at) apply(place, SlotEvent::kReady, {}, now);
  } else if (const auto* failed = std::get_if<ipc::StartFailed>(&message)) {
    slot.start_failure = escaped(failed->reason, ipc::kLargestText, Quotes::kKeep);
    // What the launcher has found good is not so any more: the next spare looks again.
    if (slot.serves_already) end_launcher(*place.pool);
  } else if (const auto* retiring = std::get_if<ipc::Retiring>(&message)) {
    note_leaving(place, retiring->reason, Departure::kTerminated, now);
  } else if (const auto* stuck = std::get_if<ipc::Stuck>(&message)) {
    note_leaving(place, stuck->reason, Departure::kRequestTimeout, now);
  } else if (const auto* wish = std::get_if<ipc::WantsToRetire>(&message)) {
    if (note_wish(slot, escaped(wish->reason, ipc::kLargestText, Quotes::kKeep), ++last_asked_))
      log::write(log::Plain::kInfo, subject(place), fmt::format("wants to retire: {}", slot.retirement_reason));
  } else if (const auto* reload = std::get_if<ipc::ReloadWanted>(&message)) {
    note_reload_wish(place, reload->reason);
  } else if (const auto* taken = std::get_if<ipc::Taken>(&message)) {
    note_taken(place, *taken, now);
  } else if (std::holds_alternative<ipc::Executing>(message)) {
    note_executing(place, now);
  }
  if (std::holds_alternative<ipc::LetGo>(message)) slot.let_go_due.reset();
  // The other messages go from the master to a worker; one that comes back means nothing.
}

// It drains by itself.
void Supervisor::note_leaving(const Place& place, const std::string& reason, Departure departure, os::TimePoint now) {
  place.slot->retired_because = escaped(reason, ipc::kLargestText, Quotes::kKeep);
  place.slot->departure = departure;
  log::write(log::Plain::kInfo, subject(place), fmt::format("drains: {}", place.slot->retired_because));
  apply(place, SlotEvent::kWantDown, {}, now);
}

// Untrusted: only whose pool says so may ask. Workers of a generation that retires see the changes that its successor
// sees too.
void Supervisor::note_reload_wish(const Place& place, const std::string& reason) {
  const auto* const wsgi = std::get_if<config::WsgiConfig>(&place.pool->config->app);
  if (wsgi == nullptr || !wsgi->reload || place.generation->phase == GenerationPhase::kRetiring) return;
  reload_wish_ = fmt::format("{}/worker[{}]: {}", place.pool->config->name, place.slot->number,
                             escaped(reason, ipc::kLargestText, Quotes::kKeep));
}

void Supervisor::bury(const os::Exit& exit, os::TimePoint now) {
  const auto found = workers_.find(exit.pid);
  if (found == workers_.end()) {
    if (bury_launcher(exit, now)) return;
    log::debug("reaped pid {}, which is no worker: {}", exit.pid, exit.status.text());
    return;
  }
  const Place place = found->second;
  Slot& slot = *place.slot;
  // The leader is dead and not reaped, so nobody else can have its group's number.
  if (exec_of(*place.pool) != nullptr) (void)os::send_signal_to_group(exit.pid, SIGKILL);
  // Its last words, on every way.
  drain_channel(place, now);
  if (slot.program.output) log_output(place, slot.program.output->finish());
  const bool by_us = exit.status.signalled && (exit.status.code == SIGKILL || exit.status.code == SIGABRT);
  const ipc::WorkerTotals did = totals_of(slot);
  const auto lived = now - slot.forked_at;
  const Death death{.state = slot.state,
                    .status = exit.status,
                    .lived = now - (slot.program.kind == ProgramKind::kNone ? slot.forked_at : slot.program.since),
                    .counts = ipc::is_plausible(did, lived) ? std::optional(did.counts) : std::nullopt,
                    .killed_because = by_us ? slot.killed_because : std::string{},
                    .killed_code = slot.killed_code,
                    .start_failure = slot.start_failure,
                    .retired_because = slot.retired_because,
                    .program = slot.program.kind,
                    .client = slot.program.client,
                    .asked_by = slot.program.asked_by,
                    .python_stack = log_python_stack(place),
                    .threads = threads_of(slot, now),
                    .now = now,
                    .departure = departure_of(place),
                    .out_of_memory = was_out_of_memory(place, exit.status),
                    .module = module_of(*place.pool),
                    .module_overwritten = module_was_overwritten(place)};
  const Obituary obituary = write_obituary(death);
  if (obituary.code)
    log::write(log::Coded::kError, *obituary.code, subject(place), obituary.text);
  else
    log::write(log::Plain::kInfo, subject(place), obituary.text);
  note_death(place, obituary, did, now);
  const bool was_stopping = !slot.stop_plan.steps.empty();
  if (!was_stopping) {
    const LifeFacts facts = life_facts(slot, now);
    slot.failures = had_served(facts) ? 0 : slot.failures + 1;
    note_failed_start(place, obituary.text);
    if (!slot.ready_at) tell_who_stays(place);
  }
  // The first death of a worker that was ready but idle is forgiven; a worker that never was ready always waits.
  const std::uint32_t forgiven = slot.ready_at ? 1 : 0;
  const bool pause = !was_stopping && slot.failures > forgiven;
  apply(place, SlotEvent::kExited, {.backoff = pause}, now);
}

PoolTotals Supervisor::totals(const std::string& pool, os::TimePoint now) const {
  PoolTotals totals = book_.of(pool);
  for (const auto& generation : generations_)
    for (const Pool& each : generation->pools)
      for (const Slot& slot : each.slots)
        if (each.config->name == pool && slot.pid != 0)
          totals.add_live(totals_of(slot), {.generation = each.generation, .metrics = own_metrics_of(slot)},
                          now - slot.forked_at);
  return totals;
}

void Supervisor::handle_ended_channels(os::TimePoint now) {
  if (!nearest_due_ || now < *nearest_due_) return;
  for_each_slot([&](const Place& place) {
    Slot& slot = *place.slot;
    if (!slot.exit_due || *slot.exit_due > now) return;
    slot.exit_due.reset();
    apply(place, SlotEvent::kChannelEof, {}, now);
  });
}

void Supervisor::handle_deadlines(os::TimePoint now) {
  if (!nearest_due_ || now < *nearest_due_) return;
  look_at_calls(now);
  for_each_slot([&](const Place& place) {
    Slot& slot = *place.slot;
    if (slot.let_go_due && *slot.let_go_due <= now) slot.let_go_due.reset();
    if (slot.program.output_resume && *slot.program.output_resume <= now) resume_output(place, now);
    if (slot.program.ready_due && *slot.program.ready_due <= now) {
      slot.program.ready_due.reset();
      if (slot.state == SlotState::kStarting) apply(place, SlotEvent::kReady, {}, now);
    }
    if (!slot.deadline || *slot.deadline > now) return;
    slot.deadline.reset();
    const bool steps_left = slot.stop_step + 1 < slot.stop_plan.steps.size();
    apply(place, SlotEvent::kDeadline, {.stop_steps_left = steps_left}, now);
  });
}

std::uint32_t Supervisor::wanted(const Generation& generation, const Pool& pool) const {
  if (generation.phase == GenerationPhase::kRetiring) return 0;
  if (!serves_by_spares(pool)) return wanted_workers(pool.config->workers, generation.usable_cpus, pool.adjustment);
  const config::ExecConfig& exec = *exec_of(pool);
  // A new generation shows that it can start even while the programs of the old one leave no room.
  const bool raising = generation.phase == GenerationPhase::kRaising;
  return wanted_spares(exec.spare, exec.max_connections, raising ? 0 : programs_in(pool.config->name, nullptr));
}

void Supervisor::reconcile(os::TimePoint now) {
  for (const auto& generation : generations_)
    for (Pool& pool : generation->pools) reconcile_pool(*generation, pool, now);
  const std::size_t gone = std::erase_if(generations_, [](const std::unique_ptr<Generation>& generation) {
    if (generation->phase != GenerationPhase::kRetiring) return false;
    return std::ranges::all_of(generation->pools, [](const Pool& pool) {
      return pool.launcher.pid == 0 &&
             std::ranges::all_of(pool.slots, [](const Slot& slot) { return slot.state == SlotState::kVacant; });
    });
  });
  if (gone == 0) return;
  forget_unused_access_logs();
  std::erase_if(paused_, [this](const std::string& name) {
    return std::ranges::none_of(generations_, [&](const auto& generation) {
      return std::ranges::find(generation->config->pools, name, &config::PoolConfig::name) !=
             generation->config->pools.end();
    });
  });
}

void Supervisor::forget_unused_access_logs() {
  std::set<std::string> used;
  for (const auto& generation : generations_)
    for (const config::PoolConfig& pool : generation->config->pools)
      if (pool.access_log) used.insert(pool.access_log->path);
  access_logs_->retain_only(used);
}

bool Supervisor::defers_spares(const Generation& generation, Pool& pool, const SlotPlan& plan,
                               os::TimePoint now) const {
  const auto left = static_cast<std::size_t>(std::ranges::count(pool.slots, SlotState::kServing, &Slot::state));
  const bool may_wait = serves_by_spares(pool) && generation.phase == GenerationPhase::kServing &&
                        spares_may_wait(wanted(generation, pool), left);
  if (!plan.want_up.empty() && may_wait) {
    if (!pool.spares_due) pool.spares_due = now + kSpareDelay;
    if (*pool.spares_due > now) return true;
  }
  pool.spares_due.reset();
  return false;
}

void Supervisor::reconcile_pool(Generation& generation, Pool& pool, os::TimePoint now) {
  keep_launcher(generation, pool, now);
  plan_look(pool, now);
  const SlotPlan plan =
      plan_slots(view_slots(pool), wanted(generation, pool), retirement_rules(generations_, generation, pool));
  for (const std::size_t i : plan.begin_replacing) {
    pool.slots[i].retirement = Retirement::kReplacing;
    log::write(log::Plain::kDebug, subject({&generation, &pool, &pool.slots[i]}), "its replacement is started");
  }
  for (const std::size_t i : plan.want_down) {
    Slot& slot = pool.slots[i];
    if (slot.retirement == Retirement::kReplacing)
      slot.retired_because = fmt::format("retired: {}", slot.retirement_reason);
    apply({&generation, &pool, &slot}, SlotEvent::kWantDown, {}, now);
  }
  // Programs are busy and wanted for nothing else; they are told only when their generation goes.
  if (generation.phase == GenerationPhase::kRetiring)
    for (Slot& slot : pool.slots)
      if (slot.state == SlotState::kTaken) apply({&generation, &pool, &slot}, SlotEvent::kWantDown, {}, now);
  if (defers_spares(generation, pool, plan, now)) return;
  for (const std::size_t i : plan.want_up) {
    while (pool.slots.size() <= i) {
      Slot slot;
      slot.number = static_cast<std::uint32_t>(pool.slots.size());
      pool.slots.push_back(std::move(slot));
    }
    apply({&generation, &pool, &pool.slots[i]}, SlotEvent::kWantUp, {}, now);
  }
}

std::optional<os::TimePoint> Supervisor::next_deadline() {
  std::optional<os::TimePoint> nearest;
  const auto look_at = [&nearest](const std::optional<os::TimePoint>& due) {
    if (due && (!nearest || *due < *nearest)) nearest = due;
  };
  for (const auto& generation : generations_)
    for (const Pool& pool : generation->pools) {
      look_at(pool.spares_due);
      look_at(pool.look_due);
      if (pool.launcher.pid == 0) look_at(pool.launcher.due);  // the next one comes when the last one is reaped
      for (const Slot& slot : pool.slots)
        for (const auto& deadline :
             {slot.deadline, slot.exit_due, slot.let_go_due, slot.program.output_resume, slot.program.ready_due})
          look_at(deadline);
    }
  nearest_due_ = nearest;
  return nearest;
}

bool Supervisor::is_letting_go() const {
  return std::ranges::any_of(generations_, [](const auto& generation) {
    // Those of a generation that serves share their listeners with their siblings, and the master has them.
    if (generation->phase != GenerationPhase::kRetiring) return false;
    return std::ranges::any_of(generation->pools, [](const Pool& pool) {
      return pool.launcher.pid != 0 ||
             std::ranges::any_of(pool.slots, [](const Slot& slot) { return slot.let_go_due.has_value(); });
    });
  });
}

bool Supervisor::is_ready(const Generation& generation) const {
  return std::ranges::all_of(generation.pools, [&](const Pool& pool) {
    const auto serving = std::ranges::count(pool.slots, SlotState::kServing, &Slot::state);
    return static_cast<std::uint32_t>(serving) >= wanted(generation, pool);
  });
}

std::string Supervisor::summary(const Generation& generation) const {
  std::string text;
  for (const Pool& pool : generation.pools) {
    const auto serving = std::ranges::count(pool.slots, SlotState::kServing, &Slot::state);
    text += fmt::format("{}{} ", text.empty() ? "" : ", ", pool.config->name);
    if (serves_by_spares(pool))
      text += fmt::format("{} spare, {} busy", serving, programs_in(pool.config->name, nullptr));
    else
      text += fmt::format("{}/{}", serving, wanted(generation, pool));
    if (is_paused(pool.config->name)) text += " (paused)";
  }
  return text;
}

void Supervisor::adjust_workers(Generation& generation, std::int32_t by) const {
  for (Pool& pool : generation.pools) {
    if (serves_by_spares(pool)) {
      log::info("pool {}: unchanged, its workers come and go with connections", pool.config->name);
      continue;
    }
    const std::uint32_t before = wanted(generation, pool);
    const std::uint32_t after = wanted_workers(before, 0, by);
    pool.adjustment += static_cast<std::int32_t>(after) - static_cast<std::int32_t>(before);
    log::info("pool {}: {} workers wanted now, until the next reload", pool.config->name, after);
  }
}

void Supervisor::scale(const Generation& generation, Pool& pool, std::uint32_t count) const {
  pool.adjustment += static_cast<std::int32_t>(count) - static_cast<std::int32_t>(wanted(generation, pool));
  log::info("pool {}: {} workers wanted now, until the next reload", pool.config->name, wanted(generation, pool));
}

std::size_t Supervisor::recycle(Pool& pool, std::optional<std::uint32_t> slot, const std::string& reason) {
  std::size_t count = 0;
  for (Slot& one : pool.slots) {
    if (one.state != SlotState::kServing || (slot && one.number != *slot)) continue;
    (void)note_wish(one, reason, ++last_asked_);  // false: it had another reason already
    ++count;
  }
  return count;
}

bool Supervisor::pause(const std::string& pool) {
  if (!paused_.insert(pool).second) return false;
  tell_serving_workers(pool, ipc::Hold{});
  return true;
}

bool Supervisor::resume(const std::string& pool) {
  if (paused_.erase(pool) == 0) return false;
  tell_serving_workers(pool, ipc::Serve{});
  return true;
}

// Who is ready later hears it then.
void Supervisor::tell_serving_workers(const std::string& pool, const ipc::Message& message) const {
  for (const auto& generation : generations_) {
    if (generation->phase != GenerationPhase::kServing) continue;
    for (const Pool& one : generation->pools) {
      if (one.config->name != pool) continue;
      for (const Slot& slot : one.slots) {
        if (slot.state != SlotState::kServing || !slot.channel.valid()) continue;
        if (!slot.channel.send(message))
          log::write(log::Coded::kWarn, MessageCode::kChannelNotRead,
                     {.pool = pool, .slot = slot.number, .generation = one.generation, .pid = slot.pid},
                     "does not read its channel: it does not hear of `pause` and `resume`");
      }
    }
  }
}

// Each such kill is laid to one death. The kernel counts it before the process is dead.
bool Supervisor::was_out_of_memory(const Place& place, const os::ExitStatus& status) {
  const bool by_somebody = status.signalled && status.code == SIGKILL && place.slot->killed_because.empty();
  if (!by_somebody || !out_of_memory_kills_) return false;
  const auto kills = os::out_of_memory_kills();
  if (!kills || *kills <= *out_of_memory_kills_) return false;
  ++*out_of_memory_kills_;
  return true;
}

Departure Supervisor::departure_of(const Place& place) {
  const Slot& slot = *place.slot;
  if (slot.departure != Departure::kNone) return slot.departure;
  if (slot.retirement == Retirement::kReplacing && slot.state != SlotState::kServing) return Departure::kRecycle;
  if (place.generation->phase == GenerationPhase::kRetiring)
    return place.generation->replaced ? Departure::kReload : Departure::kStop;
  const bool leaves = slot.state == SlotState::kDraining || slot.state == SlotState::kKilling;
  return leaves ? Departure::kScale : Departure::kNone;
}

void Supervisor::note_death(const Place& place, const Obituary& obituary, const ipc::WorkerTotals& did,
                            os::TimePoint now) {
  const bool expected = obituary.is_expected();
  DeathNote note{.worker = subject(place).text(),
                 .text = obituary.text_with_code(),
                 .cause = obituary.cause,
                 .expected = expected,
                 .at = now};
  // Each connection of such a pool ends a worker.
  const bool routine = expected && place.slot->program.kind == ProgramKind::kConnection;
  if (!routine)
    events_.note({.kind = ipc::EventReport::Kind::kDeath,
                  .subject = note.worker,
                  .text = note.text,
                  .expected = expected,
                  .at = now});
  const OwnReading own{.generation = place.pool->generation, .metrics = own_metrics_of(*place.slot)};
  book_.bury(place.pool->config->name, did, own, now - place.slot->forked_at, std::move(note));
}

void Supervisor::announce_log(int fd) {
  if (fd < 0) return;
  for_each_slot([&](const Place& place) {
    if (place.slot->pid <= 0 || !place.slot->channel.valid()) return;
    if (auto sent = place.slot->channel.send(ipc::LogReopened{}, fd); !sent)
      log::write(log::Coded::kWarn, MessageCode::kChannelNotRead, subject(place),
                 "does not read its channel and goes on in the old log file");
  });
}

void Supervisor::announce_log_level(log::Level level) {
  for_each_slot([&](const Place& place) {
    if (place.slot->pid <= 0 || !place.slot->channel.valid()) return;
    if (!place.slot->channel.send(ipc::LogLevelChanged{.level = static_cast<std::uint64_t>(level)}))
      log::write(log::Coded::kWarn, MessageCode::kChannelNotRead, subject(place),
                 "does not read its channel and keeps its old log level");
  });
}

void Supervisor::announce_access_logs() {
  for_each_slot([&](const Place& place) {
    const auto& access_log = place.pool->config->access_log;
    if (!access_log || place.slot->pid <= 0 || !place.slot->channel.valid()) return;
    const int fd = access_logs_->find(access_log->path);
    if (auto sent = place.slot->channel.send(ipc::AccessLogReopened{}, fd); !sent)
      log::write(log::Coded::kWarn, MessageCode::kChannelNotRead, subject(place),
                 "does not read its channel and goes on in the old access log");
  });
}

}  // namespace prong::master
