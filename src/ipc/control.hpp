// The control protocol: what prongctl and the master say to each other, one JSON object a line in both directions
// (docs/control.md). A client's line is untrusted. No I/O here, and no exception gets out.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/enum_text.hpp"
#include "base/error.hpp"
#include "ipc/own_metrics.hpp"
#include "ipc/worker_reading.hpp"

namespace prong::ipc {

// Of the protocol. A field that is added to an answer does not change it.
inline constexpr std::uint64_t kControlVersion = 1;

enum class ControlVerb : std::uint8_t {
  kVersion,
  kStatus,
  kWorkers,
  kReload,
  kStop,
  kScale,
  kRecycle,
  kPause,
  kResume,
  kLogLevel,
  kReopenLogs,
  kConfig,
};
inline constexpr EnumText<ControlVerb, 12> kControlVerbText{{{{ControlVerb::kVersion, "version"},
                                                              {ControlVerb::kStatus, "status"},
                                                              {ControlVerb::kWorkers, "workers"},
                                                              {ControlVerb::kReload, "reload"},
                                                              {ControlVerb::kStop, "stop"},
                                                              {ControlVerb::kScale, "scale"},
                                                              {ControlVerb::kRecycle, "recycle"},
                                                              {ControlVerb::kPause, "pause"},
                                                              {ControlVerb::kResume, "resume"},
                                                              {ControlVerb::kLogLevel, "log-level"},
                                                              {ControlVerb::kReopenLogs, "reopen-logs"},
                                                              {ControlVerb::kConfig, "config"}}}};

// Whether it changes nothing and shows no configuration: what a worker may ask.
[[nodiscard]] constexpr bool only_looks(ControlVerb verb) {
  switch (verb) {
    case ControlVerb::kVersion:
    case ControlVerb::kStatus:
    case ControlVerb::kWorkers:
      return true;
    case ControlVerb::kReload:
    case ControlVerb::kStop:
    case ControlVerb::kScale:
    case ControlVerb::kRecycle:
    case ControlVerb::kPause:
    case ControlVerb::kResume:
    case ControlVerb::kLogLevel:
    case ControlVerb::kReopenLogs:
    case ControlVerb::kConfig:
      break;
  }
  return false;
}

struct ControlRequest {
  ControlVerb verb = ControlVerb::kVersion;
  std::string pool = {};  // status, workers, reload: this one alone, if it is given; scale and so on: which
  std::optional<std::uint32_t> worker = {};  // recycle: its slot; nothing: all of the pool
  std::string level = {};                    // log-level: debug, info, warn, error
  std::uint32_t count = 0;                   // scale: how many workers
  bool plan = false;                         // reload: only say what would change
  bool fast = false;                         // stop
  bool operator==(const ControlRequest&) const = default;
};

// A request of one line, with its line end or without. The error is for the client: of another version, no JSON, nested
// too deep, a verb or field that is not known, a field that is missing or of the wrong type.
[[nodiscard]] Result<ControlRequest> parse_control_request(std::string_view line);
// With its line end.
[[nodiscard]] std::string to_line(const ControlRequest& request);

// ---- answers

struct ControlFailure {
  Error error = {};
  std::vector<std::string> details = {};  // a reload: every error that was found, each a line
};

struct ControlDone {
  std::string text = {};  // for people: what was done, or will be
};

struct VersionAnswer {
  std::string version = {};
  std::int64_t pid = 0;
};

struct DeathReport {
  std::string worker = {};  // "shop/worker[0] gen=1 pid=77"
  std::string text = {};
  bool expected = false;  // nothing that somebody must look after
  std::chrono::milliseconds ago{};
};

// Something that an operator may want to know of later.
struct EventReport {
  enum class Kind : std::uint8_t { kDeath, kReload };
  Kind kind = Kind::kDeath;
  std::string subject = {};  // "shop/worker[0] gen=1 pid=77"; of a reload: "generation 2"
  std::string text = {};
  bool expected = false;  // nothing that somebody must look after; of a reload: it is done
  std::chrono::milliseconds ago{};
};
inline constexpr EnumText<EventReport::Kind, 2> kEventKindText{
    {{{EventReport::Kind::kDeath, "death"}, {EventReport::Kind::kReload, "reload"}}}};

// What one application thread is at.
struct ThreadReport {
  ThreadPhase phase = ThreadPhase::kIdle;
  std::chrono::nanoseconds lasts{};                       // since it is in this phase; 0 of one that never had a call
  std::optional<std::chrono::nanoseconds> deadline = {};  // from now until the worker takes it for stuck
  std::string method = {};
  std::string target = {};
  std::string peer = {};
};

// What the kernel says of a process.
struct ProcessReport {
  std::uint64_t resident_bytes = 0;  // pages that it shares with others included
  std::chrono::milliseconds cpu_time{};
};

// Of one live or waiting worker.
struct WorkerReport {
  std::string pool = {};
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::int64_t pid = 0;    // 0: it waits to be started again
  std::string state = {};  // the words of master/slot_machine.hpp
  std::chrono::milliseconds age{};
  WorkerTotals served = {};
  ProcessReport process = {};
  // In their order; nothing: a cell that could not be read. None of a worker that becomes a program.
  std::vector<std::optional<ThreadReport>> threads = {};
  std::string note = {};  // why it leaves, or what its program said last
};

// All generations of one pool together.
struct PoolReport {
  std::string name = {};
  std::string app = {};  // "static", "wsgi", ...
  std::vector<std::string> listeners = {};
  std::uint32_t wanted = 0;  // workers
  std::uint32_t ready = 0;
  std::uint32_t starting = 0;  // with those that wait to be started again
  std::uint32_t busy = 0;      // programs, each for one connection
  std::uint32_t leaving = 0;   // draining, or being killed
  bool paused = false;         // by `pause`: its workers accept nothing
  // Connections that wait in the queues of its TCP listeners for a worker to accept them.
  std::uint64_t queued = 0;
  // Of the pool's workers since the daemon was started, over deaths and reloads.
  WorkerTotals served = {};
  std::uint64_t lost = 0;    // requests that were inside a worker when it died
  std::uint64_t deaths = 0;  // that were not expected, since the daemon was started
  // All deaths, by cause (docs/metrics.md).
  std::map<std::string, std::uint64_t> deaths_by_cause = {};
  // What its application counts itself, over deaths and reloads as well; gauges of live workers together.
  std::vector<OwnMetric> metrics = {};
  bool metrics_left_out = false;  // its workers have more of them than a pool may have
  ProcessReport process = {};     // the sum over its live workers
  std::optional<DeathReport> last_death = {};
};

// Of `status`, and with the workers of `workers`.
struct DaemonReport {
  std::string version = {};
  std::int64_t pid = 0;
  std::string state = {};        // starting, serving, reloading, stopping
  std::uint32_t generation = 0;  // the one that serves; 0: none
  std::chrono::milliseconds uptime{};
  std::chrono::milliseconds time{};     // of this answer, since 1970 (Unix)
  std::chrono::milliseconds started{};  // when the daemon was, in the same way; does not change with the clock
  std::uint64_t reloads_done = 0;
  std::uint64_t reloads_failed = 0;
  std::string last_reload_failure = {};  // empty: the last one was good, or there was none
  ProcessReport process = {};            // of the master
  std::vector<PoolReport> pools = {};
  std::optional<std::vector<WorkerReport>> workers = {};
  std::vector<EventReport> events = {};  // with the workers: the latest, the newest last
};

struct ReloadReport {
  bool plan = false;             // nothing was done
  std::uint32_t generation = 0;  // the one that serves now
  std::vector<std::string> changes = {};
};

// One value of the effective configuration.
struct ConfigValueReport {
  std::string name = {};    // "pool.shop.workers"
  std::string value = {};   // as TOML
  std::string origin = {};  // "file:line:column"; empty: the default
};
struct ConfigReport {
  std::vector<std::string> files = {};
  std::vector<ConfigValueReport> values = {};
};

using ControlAnswer =
    std::variant<ControlFailure, ControlDone, VersionAnswer, DaemonReport, ReloadReport, ConfigReport>;
// With its line end. Bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string to_line(const ControlAnswer& answer);
// Only the result, without a line end.
[[nodiscard]] std::string to_json_text(const DaemonReport& report);

// The answer to `status` or `workers`, with its line end or without: for a client that trusts the daemon. The error:
// what the daemon said, or that the line is no such answer.
[[nodiscard]] Result<DaemonReport> parse_daemon_report(std::string_view line);
// The answer to `version`, in the same way.
[[nodiscard]] Result<VersionAnswer> parse_version_answer(std::string_view line);

}  // namespace prong::ipc
