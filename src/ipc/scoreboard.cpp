#include "ipc/scoreboard.hpp"

namespace prong::ipc {

Result<Scoreboard> Scoreboard::create() {
  auto memory = os::SharedMemory::create("prongd-scoreboard", kCells * sizeof(WorkerCell));
  if (!memory) return failure("cannot create a scoreboard", std::move(memory.error()));
  return Scoreboard{std::move(*memory)};
}

Result<Scoreboard> Scoreboard::open(os::UniqueFd fd) {
  auto memory = os::SharedMemory::open(std::move(fd), kCells * sizeof(WorkerCell));
  if (!memory) return failure("cannot open the scoreboard", std::move(memory.error()));
  return Scoreboard{std::move(*memory)};
}

WorkerCell& Scoreboard::cell(std::size_t number) const {
  // The mapping is page-aligned and zero-filled, which are valid WorkerCells (an implicit-lifetime type).
  return reinterpret_cast<WorkerCell*>(memory_.bytes().data())[number];
}

void clear(WorkerCell& cell) {
  cell.connections.store(0, std::memory_order_relaxed);
  cell.requests.store(0, std::memory_order_relaxed);
  cell.open_connections.store(0, std::memory_order_relaxed);
}

WorkerCounts counts_of(const WorkerCell& cell) {
  return {.connections = cell.connections.load(std::memory_order_relaxed),
          .requests = cell.requests.load(std::memory_order_relaxed),
          .open_connections = cell.open_connections.load(std::memory_order_relaxed)};
}

}  // namespace prong::ipc
