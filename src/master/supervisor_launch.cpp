// The supervisor's part for launchers: one for each pool of programs in style "connection" that serves. Without one,
// and until it is ready, spares are forked as every other worker is; whatever goes wrong with a launcher comes down to
// that.
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <utility>

#include "log/log.hpp"
#include "master/respawn_policy.hpp"
#include "master/supervisor.hpp"
#include "os/process.hpp"

namespace prong::master {

void Supervisor::keep_launcher(Generation& generation, Pool& pool, os::TimePoint now) {
  if (!serves_by_spares(pool) || launcher_file_ < 0) return;
  Launcher& launcher = pool.launcher;
  if (generation.phase != GenerationPhase::kServing) {
    pool.launcher.due.reset();
    return end_launcher(pool);
  }
  if (launcher.pid != 0 || (launcher.due && *launcher.due > now)) return;
  launcher.due.reset();
  if (auto started = start_launcher(generation, pool); !started)
    note_launcher_failure(pool, started.error().text(), now);
}

Result<void> Supervisor::start_launcher(Generation& generation, Pool& pool) {
  auto channel = ipc::Channel::create_pair();
  if (!channel) return failure(std::move(channel.error()));
  ipc::Inheritance inheritance = inheritance_of(pool);
  inheritance.channel_fd = channel->second.fd();
  inheritance.launcher_fd = launcher_file_;
  auto pid = fork_with(std::move(inheritance), generation, pool);
  if (!pid) return failure(std::move(pid.error()));
  Launcher& launcher = pool.launcher;
  launcher.pid = *pid;
  launcher.channel = std::move(channel->first);
  launcher.ready = launcher.given_up = false;
  launcher.orders = 0;
  auto key =
      watch(launcher.channel.fd(), {.generation = &generation, .pool = &pool, .slot = nullptr}, Source::kLauncher);
  if (!key) {
    end_launcher(pool);
    return failure(std::move(key.error()));
  }
  launcher.channel_key = *key;
  return {};
}

// Spares live on without it.
void Supervisor::end_launcher(Pool& pool) {
  if (pool.launcher.pid == 0 || std::exchange(pool.launcher.given_up, true)) return;
  kill_launcher(pool);
}

void Supervisor::kill_launcher(Pool& pool) {
  Launcher& launcher = pool.launcher;
  (void)os::send_signal(launcher.pid, SIGKILL);  // fails only for a process that is gone
  if (launcher.channel.valid()) unwatch(launcher.channel.fd(), launcher.channel_key);
  launcher.channel.close();
  launcher.ready = false;
}

void Supervisor::note_launcher_failure(Pool& pool, std::string_view reason, os::TimePoint now) {
  Launcher& launcher = pool.launcher;
  const std::uint32_t failures = ++launcher.failures;
  launcher.due = now + respawn_pause(failures, pool.config->max_backoff);
  end_launcher(pool);
  const std::string text = fmt::format("pool {}: its launcher: {}; the master forks its spares until another one works",
                                       pool.config->name, reason);
  if (failures == 1)
    log::write(log::Coded::kWarn, MessageCode::kLauncherFailed, text);
  else
    log::write(log::Plain::kDebug, text);
}

void Supervisor::read_launcher(const Place& place, os::TimePoint now) {
  Launcher& launcher = place.pool->launcher;
  const auto heard = hear_launcher(launcher);
  if (!heard) return note_launcher_failure(*place.pool, heard.error().text(), now);
  switch (*heard) {
    case Heard::kNothing:
      return;
    case Heard::kEnd:
      return kill_launcher(*place.pool);  // its exit status, which comes, is the reason
    case Heard::kReady:
      break;
  }
  launcher.ready = true;
  launcher.failures = 0;
  log::debug("pool {}: its launcher is ready, pid {}", place.pool->config->name, launcher.pid);
}

// Nothing: there is no launcher that works, so the worker is forked.
std::optional<Result<pid_t>> Supervisor::try_launch(const Place& place, const WorkerEnds& ends, os::TimePoint now) {
  Pool& pool = *place.pool;
  if (!pool.launcher.ready || place.generation->phase != GenerationPhase::kServing) return std::nullopt;
  auto born = order_spare(pool.launcher, ends.channel.fd(), ends.program_end.get());
  if (const pid_t* pid = std::get_if<pid_t>(&born); pid != nullptr && !workers_.contains(*pid)) {
    place.slot->serves_already = true;
    return *pid;
  }
  auto* failed = std::get_if<NoSpare>(&born);
  if (failed == nullptr) {
    note_launcher_failure(pool, "it named a worker that is another one", now);
    return std::nullopt;
  }
  switch (failed->because) {
    case NoSpareBecause::kCannotFork:
      return failure(std::move(failed->error));
    case NoSpareBecause::kGone:
      kill_launcher(pool);  // its exit status, which comes, is the reason
      break;
    case NoSpareBecause::kBroken:
      note_launcher_failure(pool, failed->error.text(), now);
      break;
  }
  return std::nullopt;
}

bool Supervisor::bury_launcher(const os::Exit& exit, os::TimePoint now) {
  for (const auto& generation : generations_) {
    const auto pool = std::ranges::find(generation->pools, exit.pid, [](const Pool& any) { return any.launcher.pid; });
    if (pool == generation->pools.end()) continue;
    if (!pool->launcher.given_up) {
      // What it said last is a better reason than its status.
      const auto heard = pool->launcher.channel.valid() ? hear_launcher(pool->launcher) : Heard::kEnd;
      note_launcher_failure(*pool, heard ? exit.status.text() : heard.error().text(), now);
    }
    pool->launcher.pid = 0;
    return true;
  }
  return false;
}

}  // namespace prong::master
