// prongctl's command line.
#pragma once

#include <string>
#include <variant>

#include "ipc/control.hpp"

namespace prong::ctl {

// Exit statuses.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;      // the daemon says no, or cannot be understood
inline constexpr int kUsageError = 2;  // as every program's
inline constexpr int kNoDaemon = 3;    // nobody listens on the control socket

struct Options {
  ipc::ControlRequest request;
  std::string socket;  // empty: where it is by default
  bool json = false;
  bool wait = true;       // stop: until the daemon is gone
  bool explains = false;  // no question to the daemon: what `code` means
  std::string code;       // empty: all
};

// The options, or the exit status when there is nothing more to do: help and version have been printed (0), or what is
// wrong has been (2).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace prong::ctl
