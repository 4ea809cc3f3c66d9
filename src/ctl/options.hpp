// prongctl's command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "ipc/control.hpp"

namespace prong::ctl {

// Exit statuses.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;      // the daemon says no, or cannot be understood
inline constexpr int kUsageError = 2;  // as every program's
inline constexpr int kNoDaemon = 3;    // nobody listens on the control socket

enum class Task : std::uint8_t {
  kAsk,      // one question to the daemon
  kMetrics,  // the same, and of the answer what modules count themselves
  kTop,      // the same one again and again
  kExplain,  // none
};

struct Options {
  Task task = Task::kAsk;
  ipc::ControlRequest request;
  std::string socket;  // empty: where it is by default
  bool json = false;
  bool wait = true;                           // stop: until the daemon is gone
  std::chrono::milliseconds over{500};        // status, workers, metrics: the time of which rates and percentiles are
  std::chrono::milliseconds interval{1'000};  // top: between two questions
  std::string code;                           // explain: which; empty: all
};

// The options, or the exit status when there is nothing more to do: help and version have been printed (0), or what is
// wrong has been (2).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace prong::ctl
