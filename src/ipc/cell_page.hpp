// What the workers of an exec pool count in, before they become their program: one small cell for each, many in a page.
//
// Not a scoreboard (scoreboard.hpp): such a worker serves nothing itself, and there is a fork for each connection.
// Every mapping of the master is copied at each fork and taken down at each exec, so that one for each worker would
// make a fork dearer with every worker that there is.
#pragma once

#include <cstddef>

#include "base/error.hpp"
#include "ipc/counter.hpp"
#include "os/shared_memory.hpp"

namespace prong::ipc {

// Lives in shared memory: no pointers, and zero bytes are its valid initial state.
struct alignas(64) WorkerCell {
  Counter connections;       // accepted since the fork
  Counter open_connections;  // held now
};

// Makes a cell that a dead worker has used like new.
void clear(WorkerCell& cell);

class CellPage {
 public:
  static constexpr std::size_t kCells = 64;
  [[nodiscard]] static Result<CellPage> create();
  // number: below kCells.
  [[nodiscard]] WorkerCell& cell(std::size_t number = 0) const;

 private:
  explicit CellPage(os::SharedMemory memory) : memory_(std::move(memory)) {}
  os::SharedMemory memory_;
};

}  // namespace prong::ipc
