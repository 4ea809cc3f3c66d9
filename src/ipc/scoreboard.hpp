// The shared page in which a worker says what it is doing. The worker writes with plain relaxed stores; the master
// reads, takes every value as untrusted, and reads it once more when the worker is dead.
//
// First cut: counters. Phases, requests and histograms come with the control socket.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/error.hpp"
#include "os/shared_memory.hpp"

namespace prong::ipc {

// Lives in shared memory: no pointers, and zero bytes are its valid initial state.
struct alignas(64) WorkerCell {
  std::atomic<std::uint64_t> connections;       // accepted since the fork
  std::atomic<std::uint64_t> requests;          // answered since the fork; of streams: connections that began
  std::atomic<std::uint64_t> open_connections;  // held now

  // The one writer is the worker's I/O thread, so a load and a store do (no locked instruction).
  static void add(std::atomic<std::uint64_t>& counter, std::uint64_t amount) {
    counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
  }
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "a lock in shared memory would outlive its owner");

// What the master made of a cell.
struct WorkerCounts {
  std::uint64_t connections = 0;
  std::uint64_t requests = 0;
  std::uint64_t open_connections = 0;
};

// Makes a cell that a dead worker has used like new.
void clear(WorkerCell& cell);
[[nodiscard]] WorkerCounts counts_of(const WorkerCell& cell);

// One page with cells for many workers: every mapping of the master is copied at each fork and taken down at each exec,
// so that a page for each worker would make a fork dearer with every worker that there is.
class Scoreboard {
 public:
  static constexpr std::size_t kCells = 64;
  [[nodiscard]] static Result<Scoreboard> create();
  // In a process that another program's exec made: the one behind an inherited descriptor, which is taken over.
  [[nodiscard]] static Result<Scoreboard> open(os::UniqueFd fd);
  // number: below kCells.
  [[nodiscard]] WorkerCell& cell(std::size_t number = 0) const;
  [[nodiscard]] WorkerCounts counts(std::size_t number = 0) const { return counts_of(cell(number)); }
  [[nodiscard]] int fd() const { return memory_.fd(); }

 private:
  explicit Scoreboard(os::SharedMemory memory) : memory_(std::move(memory)) {}
  os::SharedMemory memory_;
};

}  // namespace prong::ipc
