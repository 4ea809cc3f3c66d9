#include "ipc/scoreboard.hpp"

#include <algorithm>

namespace prong::ipc {
namespace {

constexpr std::uint16_t kClassSize = 100;
constexpr std::uint16_t kFirstFailure = 400;

}  // namespace

void WorkerCounters::count_status(std::uint16_t status) {
  const std::size_t status_class = status / kClassSize;
  if (status_class == 0 || status_class > kStatusClasses) return;
  add(classes[status_class - 1], 1);
  if (status < kFirstFailure) return;
  const auto* const counted = std::ranges::find(kCountedStatuses, status);
  if (counted != kCountedStatuses.end()) add(statuses[static_cast<std::size_t>(counted - kCountedStatuses.begin())], 1);
}

// The cells stand behind the board, and the application's own metrics behind them; each one's size is a multiple of the
// next one's alignment.
std::size_t Scoreboard::size_for(std::size_t threads, RoomForOwnMetrics room) {
  static_assert(sizeof(WorkerBoard) % alignof(ThreadCell) == 0);
  static_assert(sizeof(WorkerBoard) % alignof(OwnMetricCells) == 0 &&
                sizeof(ThreadCell) % alignof(OwnMetricCells) == 0);
  const std::size_t size = sizeof(WorkerBoard) + (threads * sizeof(ThreadCell));
  return room == RoomForOwnMetrics::kYes ? size + sizeof(OwnMetricCells) : size;
}

Scoreboard::Scoreboard(os::SharedMemory memory, std::size_t threads, RoomForOwnMetrics room)
    : memory_(std::move(memory)), threads_(threads) {
  if (room == RoomForOwnMetrics::kYes)
    own_metric_cells_ =
        reinterpret_cast<OwnMetricCells*>(memory_.bytes().data() + size_for(threads, RoomForOwnMetrics::kNo));
}

Result<Scoreboard> Scoreboard::create(std::size_t threads, RoomForOwnMetrics room) {
  auto memory = os::SharedMemory::create("prongd-scoreboard", size_for(threads, room));
  if (memory)
    if (auto kept = memory->keep_from_children(); !kept) memory = failure(std::move(kept.error()));
  if (!memory) return failure("cannot create a scoreboard", std::move(memory.error()));
  return Scoreboard{std::move(*memory), threads, room};
}

Result<Scoreboard> Scoreboard::open(os::UniqueFd fd, std::size_t threads, RoomForOwnMetrics room) {
  auto memory = os::SharedMemory::open(std::move(fd), size_for(threads, room));
  if (!memory) return failure("cannot open the scoreboard", std::move(memory.error()));
  memory->take_descriptor().reset();
  Scoreboard scoreboard{std::move(*memory), threads, room};
  if (scoreboard.own_metric_cells_ != nullptr)
    scoreboard.own_metrics_ = std::make_unique<OwnMetrics>(*scoreboard.own_metric_cells_);
  return scoreboard;
}

WorkerBoard& Scoreboard::board() const {
  // The mapping is page-aligned and zero-filled, which is a valid WorkerBoard (an implicit-lifetime type).
  return *reinterpret_cast<WorkerBoard*>(memory_.bytes().data());
}

std::span<ThreadCell> Scoreboard::threads() const {
  return {reinterpret_cast<ThreadCell*>(memory_.bytes().data() + sizeof(WorkerBoard)), threads_};
}

}  // namespace prong::ipc
