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

// The cells stand behind the board, whose alignment is theirs.
std::size_t Scoreboard::size_for(std::size_t threads) {
  static_assert(sizeof(WorkerBoard) % alignof(ThreadCell) == 0);
  return sizeof(WorkerBoard) + (threads * sizeof(ThreadCell));
}

Result<Scoreboard> Scoreboard::create(std::size_t threads) {
  auto memory = os::SharedMemory::create("prongd-scoreboard", size_for(threads));
  if (memory)
    if (auto kept = memory->keep_from_children(); !kept) memory = failure(std::move(kept.error()));
  if (!memory) return failure("cannot create a scoreboard", std::move(memory.error()));
  return Scoreboard{std::move(*memory), threads};
}

Result<Scoreboard> Scoreboard::open(os::UniqueFd fd, std::size_t threads) {
  auto memory = os::SharedMemory::open(std::move(fd), size_for(threads));
  if (!memory) return failure("cannot open the scoreboard", std::move(memory.error()));
  memory->take_descriptor().reset();
  return Scoreboard{std::move(*memory), threads};
}

WorkerBoard& Scoreboard::board() const {
  // The mapping is page-aligned and zero-filled, which is a valid WorkerBoard (an implicit-lifetime type).
  return *reinterpret_cast<WorkerBoard*>(memory_.bytes().data());
}

std::span<ThreadCell> Scoreboard::threads() const {
  return {reinterpret_cast<ThreadCell*>(memory_.bytes().data() + sizeof(WorkerBoard)), threads_};
}

}  // namespace prong::ipc
