// The shared page in which a worker says what it is doing: counters, histograms, and a cell for each application
// thread. The worker writes with plain relaxed stores and never waits; the master reads at any time, takes every value
// as untrusted, and reads once more when the worker is dead (worker_reading.hpp).
//
// One memory file for each worker, mapped by that worker and the master and nobody else: no worker can write into the
// numbers of another one, and the master's forks do not copy what they may not use. Its size is sealed, since the
// master would die of SIGBUS where a worker had cut it. Workers of exec pools have a small cell in its place
// (cell_page.hpp). Behind the threads' cells stands what the application counts itself, in pools whose application may
// (own_metrics.hpp).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "ipc/counter.hpp"
#include "ipc/histogram.hpp"
#include "ipc/own_metrics.hpp"
#include "ipc/thread_cell.hpp"
#include "os/shared_memory.hpp"
#include "os/unique_fd.hpp"

namespace prong::ipc {

// Statuses that are counted each for itself, because each has its own cause, beside their class.
inline constexpr std::array<std::uint16_t, 10> kCountedStatuses{400, 404, 408, 413, 429, 431, 500, 502, 503, 504};
inline constexpr std::size_t kStatusClasses = 5;  // 1xx to 5xx

// A request counts from the moment its head is whole and good. It is over when the last byte of its answer was handed
// to the kernel, or when the connection has gone before that.
struct alignas(64) WorkerCounters {
  Counter connections;       // accepted since the fork
  Counter open_connections;  // held now
  Counter begun;             // requests; of streams: connections that began
  Counter requests;          // of them: those that are over; of streams: all, as soon as they begin
  Counter cut;               // of `requests`: those whose client did not get the whole answer
  Counter refused;           // answers to what was no request: a head that is not good, or came too slowly
  Counter received_bytes;    // from clients
  Counter sent_bytes;        // handed to the kernel
  // Of answers that are over and were not cut, those in `refused` included.
  std::array<Counter, kStatusClasses> classes;
  std::array<Counter, kCountedStatuses.size()> statuses;

  void count_status(std::uint16_t status);
};

// Lives in shared memory: no pointers, and zero bytes are its valid initial state. All of it is written by the I/O
// thread.
struct WorkerBoard {
  WorkerCounters counters;
  // Of requests that were answered whole: from the head to the last byte for the kernel.
  HistogramCells service_time;
  // Of connections, from the client's first bytes to accept(), as far as the kernel knows (os::time_since_data()); of
  // those that were asked for: without an access log at most one in a millisecond.
  HistogramCells queue_delay;
};

// Whether there is room for what the application counts itself. Both sides say the same.
enum class RoomForOwnMetrics : bool { kNo, kYes };

class Scoreboard {
 public:
  // In the master. `threads`: as many cells, at least 1.
  [[nodiscard]] static Result<Scoreboard> create(std::size_t threads, RoomForOwnMetrics room = RoomForOwnMetrics::kNo);
  // In the worker: the one behind an inherited descriptor, which is taken over and closed.
  [[nodiscard]] static Result<Scoreboard> open(os::UniqueFd fd, std::size_t threads,
                                               RoomForOwnMetrics room = RoomForOwnMetrics::kNo);

  // For the worker, and then not needed here any more. Invalid when it was taken before.
  [[nodiscard]] os::UniqueFd take_descriptor() { return memory_.take_descriptor(); }

  [[nodiscard]] WorkerBoard& board() const;
  [[nodiscard]] std::span<ThreadCell> threads() const;
  // In the worker: where its application defines its metrics; lives as long as the scoreboard. nullptr without room.
  [[nodiscard]] OwnMetrics* own_metrics() const { return own_metrics_.get(); }
  // In the master, for read_own_metrics(). nullptr without room.
  [[nodiscard]] const OwnMetricCells* own_metric_cells() const { return own_metric_cells_; }

 private:
  Scoreboard(os::SharedMemory memory, std::size_t threads, RoomForOwnMetrics room);
  [[nodiscard]] static std::size_t size_for(std::size_t threads, RoomForOwnMetrics room);
  os::SharedMemory memory_;
  std::size_t threads_;
  OwnMetricCells* own_metric_cells_ = nullptr;  // in memory_, whose mapping stays where it is when this is moved
  std::unique_ptr<OwnMetrics> own_metrics_;
};

}  // namespace prong::ipc
