// What the master makes of a worker's scoreboard: plain values, each of them checked, since the worker may have written
// anything. Also what is added up over workers.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "ipc/cell_page.hpp"
#include "ipc/histogram.hpp"
#include "ipc/scoreboard.hpp"
#include "ipc/thread_cell.hpp"

namespace prong::ipc {

// The numbers of WorkerCounters, which says what they mean.
struct WorkerCounts {
  std::uint64_t connections = 0;
  std::uint64_t open_connections = 0;
  std::uint64_t begun = 0;
  std::uint64_t requests = 0;
  std::uint64_t cut = 0;
  std::uint64_t refused = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t sent_bytes = 0;
  std::array<std::uint64_t, kStatusClasses> classes = {};
  std::array<std::uint64_t, kCountedStatuses.size()> statuses = {};

  // Requests that are not over: in the application, waiting for it, or being sent.
  [[nodiscard]] std::uint64_t inside() const { return begun > requests ? begun - requests : 0; }
  // Sums stop at the largest number.
  void merge(const WorkerCounts& other);
};
[[nodiscard]] WorkerCounts counts_of(const WorkerCounters& counters);
[[nodiscard]] WorkerCounts counts_of(const WorkerCell& cell);

// What only grows: of one worker, or of many together.
struct WorkerTotals {
  WorkerCounts counts;
  Histogram service_time;
  Histogram queue_delay;

  void merge(const WorkerTotals& other);
};
[[nodiscard]] WorkerTotals totals_of(const WorkerBoard& board);
// Whether a worker that has lived that long can have come to these numbers. One that cannot has written over them: they
// are not to be added to anything.
[[nodiscard]] bool is_plausible(const WorkerTotals& totals, std::chrono::nanoseconds lived);

// The cells of all threads, in their order; nothing: a cell that was being written, or holds what no thread writes.
// Costs some microseconds a thread.
[[nodiscard]] std::vector<std::optional<ThreadReading>> read_threads(const Scoreboard& scoreboard, os::TimePoint now);

// All of it, for whoever shows one worker.
struct WorkerReading {
  WorkerTotals totals;
  std::vector<std::optional<ThreadReading>> threads;
};
[[nodiscard]] WorkerReading read(const Scoreboard& scoreboard, os::TimePoint now);

}  // namespace prong::ipc
