#include "ipc/cell_page.hpp"

#include <utility>

namespace prong::ipc {

Result<CellPage> CellPage::create() {
  auto memory = os::SharedMemory::create("prongd-cells", kCells * sizeof(WorkerCell));
  if (!memory) return failure("cannot create a page of cells", std::move(memory.error()));
  memory->take_descriptor().reset();
  return CellPage{std::move(*memory)};
}

WorkerCell& CellPage::cell(std::size_t number) const {
  // The mapping is page-aligned and zero-filled, which are valid WorkerCells (an implicit-lifetime type).
  return reinterpret_cast<WorkerCell*>(memory_.bytes().data())[number];
}

void clear(WorkerCell& cell) {
  cell.connections.store(0, std::memory_order_relaxed);
  cell.open_connections.store(0, std::memory_order_relaxed);
}

}  // namespace prong::ipc
