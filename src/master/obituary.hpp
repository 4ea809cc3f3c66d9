// The log line about a dead worker: who, why, how long it lived, what it had done, and the requests that it was in.
// Pure text.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/message_code.hpp"
#include "ipc/worker_reading.hpp"
#include "master/slot_machine.hpp"
#include "os/clock.hpp"
#include "os/process.hpp"

namespace prong::master {

// What the worker had become. kConnection: the program for one connection; kListener: one that accepts by itself.
enum class ProgramKind : std::uint8_t { kNone, kConnection, kListener };

// What a worker was to leave for.
enum class Departure : std::uint8_t {
  kNone,            // nobody wanted it to
  kStop,            // the daemon stops
  kReload,          // another generation serves, or the one that it was for has failed
  kRecycle,         // it has reached a limit of its pool, or an operator wants a fresh one
  kScale,           // fewer workers are wanted
  kTerminated,      // somebody else than the master told it so
  kRequestTimeout,  // a request overran request_timeout
};

struct Death {
  SlotState state = SlotState::kServing;  // in which it died
  os::ExitStatus status;
  std::chrono::nanoseconds lived{};
  // As its scoreboard said last; nothing: it had overwritten it with what cannot be.
  std::optional<ipc::WorkerCounts> counts;
  std::string killed_because;   // why the master sent KILL or ABRT; empty if it did not
  MessageCode killed_code{};    // of that
  std::string start_failure;    // what the worker said before it exited
  std::string retired_because;  // what the worker said before it drained by itself
  // Of a worker that had become a program; `lived` is then since it had. Its counts are the worker's and mean nothing.
  ProgramKind program = ProgramKind::kNone;
  std::string client = {};  // kConnection: the address that it served; empty for a UNIX socket
  int asked_by = 0;         // the signal by which the master asked it to stop; 0: it did not
  // Of an interpreter that died of a signal: the innermost of its Python code (python_stack.hpp). Empty: not known.
  std::string python_stack = {};
  // What its application threads were at, in their order (ipc::read_threads()), when it was reaped: at `now`.
  std::vector<std::optional<ipc::ThreadReading>> threads = {};
  os::TimePoint now = {};
  Departure departure = Departure::kNone;
  // It was killed, not by the master, and meanwhile the kernel's out-of-memory killer has ended a process of the
  // daemon.
  bool out_of_memory = false;
  std::string module = {};          // the path of the module that it ran, escaped; empty: none
  bool module_overwritten = false;  // its file is the one that it was at the fork, with other content
};

// "GET /checkout of module /srv/shop.so for 3.2s"; `module` may be empty. Of a call that is under way.
[[nodiscard]] std::string call_text(const ipc::ThreadReading& reading, std::string_view module, os::TimePoint now);

// Expected deaths are told as information and have no code, signals and failures are errors.
struct Obituary {
  std::optional<MessageCode> code;
  std::string text;
  // In one word, for counting (docs/metrics.md): "reload", "SIGSEGV", "exit_1", ... At most some hundred.
  std::string cause;
  [[nodiscard]] bool is_expected() const { return !code; }
  // As the line of the log ends.
  [[nodiscard]] std::string text_with_code() const;
};

[[nodiscard]] Obituary write_obituary(const Death& death);

}  // namespace prong::master
