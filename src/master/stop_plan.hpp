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
// Connections are cut at once; KILL follows soon.
[[nodiscard]] StopPlan fast_stop_plan();

}  // namespace prong::master
