// How a worker is stopped: ask, insist, force, each with its time. A pure table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/units.hpp"

namespace prong::master {

enum class StopStepKind : std::uint8_t {
  kMessage,  // Stop over the channel, with the grace that is left
  kTerm,     // SIGTERM, for a worker that does not read its channel
  // Of workers that have become a program, which knows no channel.
  kWait,          // nothing: its connection may come to its end
  kSignalLeader,  // the pool's stop_signal, to the program itself
  kSignalGroup,   // the pool's stop_signal, to the program and what it has started
};

struct StopStep {
  StopStepKind kind;
  Duration patience;  // how long to wait for the exit before the next step; after the last one comes KILL
};

struct StopPlan {
  Duration grace{};       // what the message says
  Duration idle_grace{};  // of idle keep-alive connections
  std::vector<StopStep> steps;
};

// `grace`: how long connections may go on. The worker cuts them itself when it is over and exits; what follows is for
// one that does not.
// `idle_grace` is cut to `grace`.
[[nodiscard]] StopPlan graceful_stop_plan(Duration grace, Duration idle_grace);
// A program that serves one connection goes on for the whole grace; it is not asked before, since it knows nothing of a
// drain.
[[nodiscard]] StopPlan connection_program_stop_plan(Duration grace);
// A program that accepts by itself is asked at once and has the grace to finish. Only itself: what it started is its
// own to stop.
[[nodiscard]] StopPlan listener_program_stop_plan(Duration grace);
[[nodiscard]] StopPlan fast_program_stop_plan();
// Connections are cut at once; KILL follows soon.
[[nodiscard]] StopPlan fast_stop_plan();

}  // namespace prong::master
