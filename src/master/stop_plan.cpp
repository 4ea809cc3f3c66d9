#include "master/stop_plan.hpp"

#include <algorithm>

namespace prong::master {
namespace {

// From the end of the grace to a worker's exit: it cuts its connections and leaves, milliseconds when it can run.
constexpr Duration kExitTime{1000};
// A worker that missed the message gets this long for what TERM makes it do.
constexpr Duration kTermTime{1000};
// A program that is asked when its grace is over may still want to write its data.
constexpr Duration kProgramTime{5000};

}  // namespace

StopPlan graceful_stop_plan(Duration grace, Duration idle_grace) {
  return {.grace = grace,
          .idle_grace = std::min(grace, idle_grace),
          .steps = {{StopStepKind::kMessage, grace + kExitTime}, {StopStepKind::kTerm, kTermTime}}};
}

StopPlan connection_program_stop_plan(Duration grace) {
  return {.grace = grace,
          .idle_grace = grace,
          .steps = {{StopStepKind::kWait, grace}, {StopStepKind::kSignalGroup, kProgramTime}}};
}

StopPlan listener_program_stop_plan(Duration grace) {
  return {.grace = grace, .idle_grace = grace, .steps = {{StopStepKind::kSignalLeader, grace}}};
}

StopPlan fast_program_stop_plan() {
  return {
      .grace = Duration::zero(), .idle_grace = Duration::zero(), .steps = {{StopStepKind::kSignalGroup, kExitTime}}};
}

StopPlan fast_stop_plan() {
  return {.grace = Duration::zero(), .idle_grace = Duration::zero(), .steps = {{StopStepKind::kMessage, kExitTime}}};
}

}  // namespace prong::master
