// One immutable configuration and what was started from it. A reload makes the next one; the data of the supervisor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/enum_text.hpp"
#include "base/message_code.hpp"
#include "config/config.hpp"
#include "ipc/cell_page.hpp"
#include "ipc/channel.hpp"
#include "ipc/scoreboard.hpp"
#include "ipc/worker_reading.hpp"
#include "log/log.hpp"
#include "master/call_watch.hpp"
#include "master/launcher.hpp"
#include "master/obituary.hpp"
#include "master/pool_policy.hpp"
#include "master/program_output.hpp"
#include "master/slot_machine.hpp"
#include "master/stop_plan.hpp"
#include "os/clock.hpp"
#include "os/file.hpp"
#include "os/notify_socket.hpp"
#include "os/users.hpp"

namespace prong::master {

// What the master keeps of a worker in a pool that runs programs.
struct Program {
  ProgramKind kind = ProgramKind::kNone;  // what the worker has become
  os::TimePoint since;                    // when it did
  std::string client;                     // kConnection: the address that it serves
  int asked_by = 0;                       // the signal that the master sent it to stop
  std::optional<ProgramOutput> output;
  std::uint64_t output_key = 0;
  std::optional<os::TimePoint> output_resume;  // not watched until then
  os::NotifySocket notify;
  std::uint64_t notify_key = 0;
  std::string status;                      // what it said last about itself
  os::UniqueFd stack;                      // of an interpreter: what it writes when it dies (python_stack.hpp)
  std::optional<os::TimePoint> ready_due;  // it is ready when it is still there
};

// A place in a pool that holds at most one live worker. `state` is set by Supervisor::apply() and nowhere else.
struct Slot {
  std::uint32_t number = 0;
  SlotState state = SlotState::kVacant;
  std::uint32_t failures = 0;  // deaths in a row of workers that had not served
  std::optional<os::TimePoint> deadline;

  // Of the worker that holds it; empty when vacant or in backoff.
  pid_t pid = 0;
  std::uint64_t channel_key = 0;
  ipc::Channel channel;
  std::optional<ipc::Scoreboard> scoreboard;  // of a worker that serves itself
  ipc::WorkerCell* cell = nullptr;            // of one that becomes a program: in the pool's pages
  os::UniqueFd asking;  // of a status pool: from the fork until it is handed on (Supervisor::take_askers())
  os::TimePoint forked_at;
  std::optional<os::TimePoint> ready_at;
  StopPlan stop_plan;
  std::size_t stop_step = 0;
  std::optional<os::TimePoint> let_go_due;  // it drains: by when it should have closed its listeners
  bool channel_ended = false;
  std::optional<os::TimePoint> exit_due;          // its channel has ended: by when it must have exited
  std::vector<std::optional<WatchedCall>> calls;  // by thread: which the last look has found it in
  std::optional<os::FileInfo> module_file;        // of a module, as it was when its worker was forked
  int killed_with = 0;                            // the signal that the master sent it last to end it; 0: none
  MessageCode killed_code{};                      // of what killed_because says
  std::string killed_because;
  std::string start_failure;
  std::string retired_because;
  Departure departure = Departure::kNone;
  Retirement retirement = Retirement::kNone;
  std::uint64_t asked_to_retire = 0;  // the order among those that want to retire
  std::string retirement_reason;
  bool told_that_it_stays = false;  // the operator, that its replacement could not start
  Program program;
  bool serves_already = false;  // made by the launcher: it accepts from its birth
};

// What its worker says that it has done and does; nothing without one.
[[nodiscard]] inline ipc::WorkerTotals totals_of(const Slot& slot) {
  if (slot.scoreboard) return ipc::totals_of(slot.scoreboard->board());
  ipc::WorkerTotals totals;
  if (slot.cell != nullptr) totals.counts = ipc::counts_of(*slot.cell);
  return totals;
}
// What its application has counted itself.
[[nodiscard]] inline std::vector<ipc::OwnMetric> own_metrics_of(const Slot& slot) {
  if (!slot.scoreboard || slot.scoreboard->own_metric_cells() == nullptr) return {};
  return ipc::read_own_metrics(*slot.scoreboard->own_metric_cells());
}
[[nodiscard]] inline std::vector<std::optional<ipc::ThreadReading>> threads_of(const Slot& slot, os::TimePoint now) {
  if (!slot.scoreboard) return {};
  return ipc::read_threads(*slot.scoreboard, now);
}

struct Pool {
  Pool() = default;
  // Moved only: said here, because a deque looks copyable whatever it holds.
  Pool(Pool&&) = default;  // NOLINT(performance-noexcept-move-constructor): std::deque's may throw
  Pool& operator=(Pool&&) = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;
  ~Pool() = default;

  const config::PoolConfig* config = nullptr;  // in the generation's config
  std::uint32_t generation = 0;                // that raised it; another one may have it by now (Supervisor::adopt())
  std::vector<std::string> listeners;          // canonical addresses, in the order of config->listen
  std::optional<os::Identity> identity;        // whom its workers become, if somebody else
  std::deque<Slot> slots;                      // a deque: slots stay where they are when more are made
  std::vector<ipc::CellPage> cell_pages;       // of pools that run programs: slot i has cell i % kCells of i / kCells
  std::int32_t adjustment = 0;                 // by TTIN and TTOU
  std::uint64_t serve_backlog = 0;             // bit i: at its stop nobody else will accept from listener i
  std::uint32_t fork_failures = 0;             // in a row, so that the first is logged and the end of them
  Launcher launcher;                           // of a pool that keeps spares
  // Of a pool that keeps spares: when the next ones are forked, although some are left (spares_may_wait()).
  std::optional<os::TimePoint> spares_due;
  // When its workers are looked at next, whether they are stuck (call_watch.hpp).
  std::optional<os::TimePoint> look_due;
  // Connections refused by max_per_address: when it was logged last, and how many were not since.
  std::optional<os::TimePoint> refusal_logged;
  std::uint32_t refusals_untold = 0;
};

// Of a pool whose workers become the user's program; null when they are workers to the end.
[[nodiscard]] inline const config::ExecConfig* exec_of(const Pool& pool) {
  return std::get_if<config::ExecConfig>(&pool.config->app);
}
// The path of the module that its workers load, for messages: escaped. Empty: they load none.
[[nodiscard]] std::string module_of(const Pool& pool);
// True when each worker becomes a program for one connection.
[[nodiscard]] inline bool serves_by_spares(const Pool& pool) {
  const config::ExecConfig* exec = exec_of(pool);
  return exec != nullptr && exec->style == config::ExecStyle::kConnection;
}

enum class GenerationPhase : std::uint8_t {
  kRaising,   // its workers start; they accept nothing yet
  kServing,   // the one that accepts
  kRetiring,  // its workers drain
};
inline constexpr EnumText<GenerationPhase, 3> kGenerationPhaseText{{{{GenerationPhase::kRaising, "raising"},
                                                                     {GenerationPhase::kServing, "serving"},
                                                                     {GenerationPhase::kRetiring, "retiring"}}}};

// How many failed starts of one worker end the raising: a reload ends at the first, a boot tries again a few times.
enum class StartPatience : std::uint8_t { kReload, kBoot };

struct Generation {
  std::uint32_t number = 0;
  std::shared_ptr<const config::Config> config;
  std::shared_ptr<log::Output> log;  // what its workers write to
  std::uint32_t usable_cpus = 1;     // what `workers = "auto"` means, fixed when it was raised
  StartPatience patience = StartPatience::kReload;
  GenerationPhase phase = GenerationPhase::kRaising;
  std::vector<Pool> pools;
  std::optional<std::string> failure;  // while raising: why it will never be ready
  bool replaced = true;                // while retiring: somebody else serves; false when the daemon stops
};

}  // namespace prong::master
