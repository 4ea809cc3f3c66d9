#include "master/supervisor.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "base/escape.hpp"
#include "log/log.hpp"
#include "master/obituary.hpp"
#include "master/pool_policy.hpp"
#include "master/respawn_policy.hpp"
#include "os/cpu.hpp"
#include "os/signals.hpp"

namespace prong::master {
namespace {

// A worker that KILL does not end within this time hangs in the kernel; it is said again at this interval.
constexpr std::chrono::seconds kKillPatience{5};
// A fork that failed is tried again soon: the cause (a process limit, memory) may go away at any time.
constexpr Duration kMostForkPause{5000};

LifeFacts life_facts(const Slot& slot, os::TimePoint now) {
  LifeFacts facts;
  facts.was_ready = slot.ready_at.has_value();
  facts.connections = slot.scoreboard ? slot.scoreboard->counts().connections : 0;
  if (slot.ready_at) facts.served = now - *slot.ready_at;
  return facts;
}

// A process closes its descriptors before its parent can reap it (Linux kernel/exit.c: exit_files comes before
// exit_notify), so the end of a channel nearly always means that SIGCHLD follows. Only a worker that is still there
// after this time has closed its channel and goes on.
constexpr Duration kExitTime{100};
// A worker that runs reads Stop and closes its listeners at once; one that is busy or still starting is not waited for.
constexpr Duration kLetGoTime{1000};

class WorkerChild final : public os::ChildMain {
 public:
  WorkerChild(WorkerMain worker_main, ipc::Inheritance inheritance, const config::PoolConfig& pool,
              std::shared_ptr<log::Output> log)
      : worker_main_(worker_main), inheritance_(std::move(inheritance)), pool_(&pool), log_(std::move(log)) {}

  int run() noexcept override {
    log::use(log_);
    inheritance_.log_fds = log::descriptors();
    return worker_main_(inheritance_, *pool_);
  }

 private:
  WorkerMain worker_main_;
  ipc::Inheritance inheritance_;
  const config::PoolConfig* pool_;
  std::shared_ptr<log::Output> log_;
};

}  // namespace

template <class Predicate>
Supervisor::Place Supervisor::find_slot(Predicate predicate) {
  for (const auto& generation : generations_)
    for (Pool& pool : generation->pools)
      for (Slot& slot : pool.slots)
        if (predicate(slot)) return {generation.get(), &pool, &slot};
  return {};
}

// The function must not add or remove slots.
template <class Function>
void Supervisor::for_each_slot(Function function) {
  for (const auto& generation : generations_)
    for (Pool& pool : generation->pools)
      for (Slot& slot : pool.slots) function(Place{generation.get(), &pool, &slot});
}

log::Subject Supervisor::subject(const Place& place) {
  return {.pool = place.pool->config->name,
          .slot = place.slot->number,
          .generation = place.generation->number,
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
    Pool pool;
    pool.config = &plan.config->pools[i];
    for (const PlannedListener& listener : plan.listeners[i]) pool.listeners.push_back(listener.address.text);
    generation->pools.push_back(std::move(pool));
  }
  generations_.push_back(std::move(generation));
  return *generations_.back();
}

void Supervisor::commit(Generation& generation) {
  generation.phase = GenerationPhase::kServing;
  for (const Pool& pool : generation.pools) {
    for (const Slot& slot : pool.slots) {
      if (slot.state != SlotState::kServing) continue;
      // A lost message shows as a worker that never accepts; its channel is empty here, so it cannot be full.
      (void)slot.channel.send(ipc::Serve{});
    }
  }
}

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
  for (const auto& generation : generations_) generation->phase = GenerationPhase::kRetiring;
  for_each_slot([&](const Place& place) {
    if (place.slot->state == SlotState::kVacant || place.slot->state == SlotState::kKilling) return;
    if (place.slot->state != SlotState::kDraining) apply(place, SlotEvent::kWantDown, {}, now);
    if (place.slot->state != SlotState::kDraining) return;
    place.slot->stop_plan = fast_stop_plan();
    place.slot->stop_step = 0;
    take_stop_step(place, now);
  });
}

void Supervisor::apply(const Place& place, SlotEvent event, SlotFacts facts, os::TimePoint now) {
  Slot& slot = *place.slot;
  const SlotMove move = next_move(slot.state, event, facts);
  if (move.action == SlotAction::kBug) {
    log::write(log::Level::kError, subject(place),
               fmt::format("internal: event {} in state {}; ignored, please report it", kSlotEventText.text(event),
                           kSlotStateText.text(slot.state)));
    return;
  }
  if (move.state != slot.state && log::enabled(log::Level::kDebug))
    log::write(log::Level::kDebug, subject(place),
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
      log::write(log::Level::kInfo, subject(place), fmt::format("ready after {}", to_rough_text(now - slot.forked_at)));
      if (place.generation->phase == GenerationPhase::kServing) (void)slot.channel.send(ipc::Serve{});
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
      log::write(log::Level::kError, subject(place),
                 "still there after SIGKILL: it hangs in the kernel (a dead disk or network file system?)");
      return kill(place, SIGKILL, now);
    case SlotAction::kBury:
      return release(slot);
    case SlotAction::kBuryAndBackoff:
      release(slot);
      slot.deadline = now + respawn_pause(slot.failures, place.pool->config->max_backoff);
      return;
  }
}

void Supervisor::fork_worker(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  release(slot);
  slot.forked_at = now;
  auto pid = try_fork(place);
  if (!pid) {
    release(slot);
    ++slot.failures;
    report_fork_failure(place, pid.error());
    note_failed_start(place, pid.error().text());
    return apply(place, SlotEvent::kForkFailed, {}, now);
  }
  slot.pid = *pid;
  if (const std::uint32_t failed = std::exchange(place.pool->fork_failures, 0); failed > 0)
    log::warn("pool {}: fork works again, after {} failures", place.pool->config->name, failed);
  apply(place, SlotEvent::kForked, {}, now);
}

Result<pid_t> Supervisor::try_fork(const Place& place) {
  Slot& slot = *place.slot;
  auto scoreboard = ipc::Scoreboard::create();
  if (!scoreboard) return failure(std::move(scoreboard.error()));
  auto channel = ipc::Channel::create_pair();
  if (!channel) return failure(std::move(channel.error()));
  slot.scoreboard = std::move(*scoreboard);
  slot.channel = std::move(channel->first);
  slot.serial = ++last_serial_;
  if (auto watched = epoll_->add(slot.channel.fd(), EPOLLIN, slot.serial); !watched)
    return failure(std::move(watched.error()));
  ipc::Inheritance inheritance{.pool = place.pool->config->name,
                               .slot = slot.number,
                               .generation = place.generation->number,
                               .master_pid = ::getpid(),
                               .channel_fd = channel->second.fd(),
                               .listeners = {},
                               .log_fds = {},
                               .access_log_fd = -1,
                               .scoreboard_fd = slot.scoreboard->fd(),
                               .cell = &slot.scoreboard->cell()};
  if (const auto& access_log = place.pool->config->access_log)
    inheritance.access_log_fd = access_logs_->find(access_log->path);
  for (std::size_t i = 0; i < place.pool->listeners.size(); ++i) {
    const net::Listener* listener = listeners_->find(place.pool->listeners[i]);
    if (listener == nullptr) continue;
    for (const int fd : listener->descriptors())
      inheritance.listeners.push_back(
          {.fd = fd, .number = static_cast<std::uint32_t>(i), .address = place.pool->listeners[i]});
  }
  WorkerChild child{worker_main_, std::move(inheritance), *place.pool->config, place.generation->log};
  return os::fork_child(child);
  // The worker's end of the channel closes here, in the master.
}

void Supervisor::report_fork_failure(const Place& place, const Error& error) {
  if (place.pool->fork_failures++ > 0) return;
  log::error("pool {}: {}; trying again with growing pauses, the others go on", place.pool->config->name, error.text());
}

// Also for a worker that drains already: its time can only become shorter.
void Supervisor::begin_stop(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  const config::PoolConfig& pool = *place.pool->config;
  // While somebody else serves, an idle client has all the time of the drain for its next request. When the daemon
  // stops, the service is down until the last worker is gone, so only a request that is on its way is waited for.
  const Duration idle_grace = place.generation->replaced ? pool.graceful_timeout : pool.http.idle_grace;
  const auto earlier = slot.stop_plan.steps.empty() ? std::nullopt : slot.deadline;
  if (slot.stop_plan.steps.empty()) slot.let_go_due = now + kLetGoTime;
  slot.stop_plan = graceful_stop_plan(pool.graceful_timeout, idle_grace);
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
    case StopStepKind::kTerm:
      log::write(log::Level::kWarn, subject(place), "did not stop within its grace; sending SIGTERM");
      (void)os::send_signal(slot.pid, SIGTERM);
      return;
  }
}

void Supervisor::kill(const Place& place, int signal, os::TimePoint now) {
  Slot& slot = *place.slot;
  if (slot.killed_because.empty()) {
    if (slot.channel_ended)
      slot.killed_because = "its channel closed";
    else if (!slot.stop_plan.steps.empty())
      slot.killed_because = "it did not stop within its grace";
    else if (!slot.ready_at)
      slot.killed_because =
          fmt::format("it was not ready within start_timeout = {}", to_text(place.pool->config->start_timeout));
    else
      slot.killed_because = "it overran a deadline";
  }
  slot.deadline = now + kKillPatience;
  if (auto sent = os::send_signal(slot.pid, signal); !sent) log::error("{}", sent.error().text());
}

void Supervisor::release(Slot& slot) {
  if (slot.channel.valid()) epoll_->remove(slot.channel.fd());
  slot.deadline.reset();
  slot.pid = 0;
  slot.channel.close();
  slot.scoreboard.reset();
  slot.ready_at.reset();
  slot.stop_plan = {};
  slot.stop_step = 0;
  slot.channel_ended = false;
  slot.exit_due.reset();
  slot.let_go_due.reset();
  slot.killed_because.clear();
  slot.start_failure.clear();
  slot.retired_because.clear();
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

void Supervisor::read_channel(std::uint64_t key, os::TimePoint now) {
  const Place place = find_slot([key](const Slot& slot) { return slot.pid > 0 && slot.serial == key; });
  if (place.slot != nullptr) drain_channel(place, now);
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
        slot.killed_because = "it sent something over its channel that is not a message";
        [[fallthrough]];
      case ipc::Channel::Kind::kEnd:
        slot.channel_ended = true;
        slot.exit_due = now + kExitTime;
        epoll_->remove(slot.channel.fd());
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
  } else if (const auto* retiring = std::get_if<ipc::Retiring>(&message)) {
    slot.retired_because = escaped(retiring->reason, ipc::kLargestText, Quotes::kKeep);
    log::write(log::Level::kInfo, subject(place), fmt::format("drains: {}", slot.retired_because));
    apply(place, SlotEvent::kWantDown, {}, now);
  }
  if (std::holds_alternative<ipc::LetGo>(message)) slot.let_go_due.reset();
  // The other messages go from the master to a worker; one that comes back means nothing.
}

void Supervisor::bury(const os::Exit& exit, os::TimePoint now) {
  const Place place = find_slot([&exit](const Slot& slot) { return slot.pid == exit.pid; });
  if (place.slot == nullptr) {
    log::debug("reaped pid {}, which is no worker: {}", exit.pid, exit.status.text());
    return;
  }
  Slot& slot = *place.slot;
  drain_channel(place, now);  // its last words
  const bool by_us = exit.status.signalled && (exit.status.code == SIGKILL || exit.status.code == SIGABRT);
  const Death death{.state = slot.state,
                    .status = exit.status,
                    .lived = now - slot.forked_at,
                    .counts = slot.scoreboard ? slot.scoreboard->counts() : ipc::WorkerCounts{},
                    .killed_because = by_us ? slot.killed_because : std::string{},
                    .start_failure = slot.start_failure,
                    .retired_because = slot.retired_because};
  const Obituary obituary = write_obituary(death);
  log::write(obituary.level, subject(place), obituary.text);
  const bool was_stopping = !slot.stop_plan.steps.empty();
  if (!was_stopping) {
    const LifeFacts facts = life_facts(slot, now);
    slot.failures = had_served(facts) ? 0 : slot.failures + 1;
    note_failed_start(place, obituary.text);
  }
  // The first death of a worker that was ready but idle is forgiven; a worker that never was ready always waits.
  const std::uint32_t forgiven = slot.ready_at ? 1 : 0;
  const bool pause = !was_stopping && slot.failures > forgiven;
  apply(place, SlotEvent::kExited, {.backoff = pause}, now);
}

void Supervisor::handle_ended_channels(os::TimePoint now) {
  for_each_slot([&](const Place& place) {
    Slot& slot = *place.slot;
    if (!slot.exit_due || *slot.exit_due > now) return;
    slot.exit_due.reset();
    apply(place, SlotEvent::kChannelEof, {}, now);
  });
}

void Supervisor::handle_deadlines(os::TimePoint now) {
  for_each_slot([&](const Place& place) {
    Slot& slot = *place.slot;
    if (slot.let_go_due && *slot.let_go_due <= now) slot.let_go_due.reset();
    if (!slot.deadline || *slot.deadline > now) return;
    slot.deadline.reset();
    const bool steps_left = slot.stop_step + 1 < slot.stop_plan.steps.size();
    apply(place, SlotEvent::kDeadline, {.stop_steps_left = steps_left}, now);
  });
}

std::uint32_t Supervisor::wanted(const Generation& generation, const Pool& pool) {
  const bool gone = generation.phase == GenerationPhase::kRetiring;
  return gone ? 0 : wanted_workers(pool.config->workers, generation.usable_cpus, pool.adjustment);
}

void Supervisor::reconcile(os::TimePoint now) {
  for (const auto& generation : generations_)
    for (Pool& pool : generation->pools) reconcile_pool(*generation, pool, now);
  const std::size_t gone = std::erase_if(generations_, [](const std::unique_ptr<Generation>& generation) {
    if (generation->phase != GenerationPhase::kRetiring) return false;
    return std::ranges::all_of(generation->pools, [](const Pool& pool) {
      return std::ranges::all_of(pool.slots, [](const Slot& slot) { return slot.state == SlotState::kVacant; });
    });
  });
  if (gone > 0) forget_unused_access_logs();
}

void Supervisor::forget_unused_access_logs() {
  std::set<std::string> used;
  for (const auto& generation : generations_)
    for (const config::PoolConfig& pool : generation->config->pools)
      if (pool.access_log) used.insert(pool.access_log->path);
  access_logs_->retain_only(used);
}

void Supervisor::reconcile_pool(Generation& generation, Pool& pool, os::TimePoint now) {
  std::vector<SlotState> states;
  states.reserve(pool.slots.size());
  for (const Slot& slot : pool.slots) {
    // A worker that is killed before it was ready will wait in backoff, and nobody takes its place meanwhile.
    const bool failed_start = slot.state == SlotState::kKilling && !slot.ready_at && slot.stop_plan.steps.empty();
    states.push_back(failed_start ? SlotState::kBackoff : slot.state);
  }
  const SlotPlan plan = plan_slots(states, wanted(generation, pool));
  for (const std::size_t i : plan.want_down) apply({&generation, &pool, &pool.slots[i]}, SlotEvent::kWantDown, {}, now);
  for (const std::size_t i : plan.want_up) {
    while (pool.slots.size() <= i) {
      Slot slot;
      slot.number = static_cast<std::uint32_t>(pool.slots.size());
      pool.slots.push_back(std::move(slot));
    }
    apply({&generation, &pool, &pool.slots[i]}, SlotEvent::kWantUp, {}, now);
  }
}

std::optional<os::TimePoint> Supervisor::next_deadline() const {
  std::optional<os::TimePoint> nearest;
  for (const auto& generation : generations_)
    for (const Pool& pool : generation->pools)
      for (const Slot& slot : pool.slots)
        for (const auto& deadline : {slot.deadline, slot.exit_due, slot.let_go_due})
          if (deadline && (!nearest || *deadline < *nearest)) nearest = deadline;
  return nearest;
}

bool Supervisor::is_letting_go() const {
  return std::ranges::any_of(generations_, [](const auto& generation) {
    return std::ranges::any_of(generation->pools, [](const Pool& pool) {
      return std::ranges::any_of(pool.slots, [](const Slot& slot) { return slot.let_go_due.has_value(); });
    });
  });
}

bool Supervisor::is_ready(const Generation& generation) {
  return std::ranges::all_of(generation.pools, [&](const Pool& pool) {
    const auto serving = std::ranges::count(pool.slots, SlotState::kServing, &Slot::state);
    return static_cast<std::uint32_t>(serving) >= wanted(generation, pool);
  });
}

std::string Supervisor::summary(const Generation& generation) {
  std::string text;
  for (const Pool& pool : generation.pools) {
    const auto serving = std::ranges::count(pool.slots, SlotState::kServing, &Slot::state);
    text += fmt::format("{}{} {}/{}", text.empty() ? "" : ", ", pool.config->name, serving, wanted(generation, pool));
  }
  return text;
}

void Supervisor::adjust_workers(Generation& generation, std::int32_t by) {
  for (Pool& pool : generation.pools) {
    const std::uint32_t before = wanted(generation, pool);
    const std::uint32_t after = wanted_workers(before, 0, by);
    pool.adjustment += static_cast<std::int32_t>(after) - static_cast<std::int32_t>(before);
    log::info("pool {}: {} workers wanted now, until the next reload", pool.config->name, after);
  }
}

void Supervisor::announce_log(int fd) {
  if (fd < 0) return;
  for_each_slot([&](const Place& place) {
    if (place.slot->pid <= 0 || !place.slot->channel.valid()) return;
    if (auto sent = place.slot->channel.send(ipc::LogReopened{}, fd); !sent)
      log::write(log::Level::kWarn, subject(place), "does not read its channel and goes on in the old log file");
  });
}

void Supervisor::announce_access_logs() {
  for_each_slot([&](const Place& place) {
    const auto& access_log = place.pool->config->access_log;
    if (!access_log || place.slot->pid <= 0 || !place.slot->channel.valid()) return;
    const int fd = access_logs_->find(access_log->path);
    if (auto sent = place.slot->channel.send(ipc::AccessLogReopened{}, fd); !sent)
      log::write(log::Level::kWarn, subject(place), "does not read its channel and goes on in the old access log");
  });
}

}  // namespace prong::master
