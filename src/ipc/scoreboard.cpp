#include "ipc/scoreboard.hpp"

namespace prong::ipc {

Result<Scoreboard> Scoreboard::create() {
  auto memory = os::SharedMemory::create("prongd-scoreboard", sizeof(WorkerCell));
  if (!memory) return failure("cannot create a scoreboard", std::move(memory.error()));
  return Scoreboard{std::move(*memory)};
}

WorkerCell& Scoreboard::cell() const {
  // The mapping is page-aligned and zero-filled, which is a valid WorkerCell (an implicit-lifetime type).
  return *reinterpret_cast<WorkerCell*>(memory_.bytes().data());
}

WorkerCounts Scoreboard::counts() const {
  const WorkerCell& from = cell();
  return {.connections = from.connections.load(std::memory_order_relaxed),
          .requests = from.requests.load(std::memory_order_relaxed),
          .open_connections = from.open_connections.load(std::memory_order_relaxed)};
}

}  // namespace prong::ipc
