// The supervisor's way to a new worker: everything that the master makes for it, and the fork.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "log/log.hpp"
#include "master/supervisor.hpp"
#include "os/socket.hpp"

namespace prong::master {
namespace {

// The slot's cell, in a page that is made with the first of its slots.
Result<ipc::WorkerCell*> cell_of(Pool& pool, const Slot& slot) {
  const std::size_t page = slot.number / ipc::CellPage::kCells;
  while (pool.cell_pages.size() <= page) {
    auto made = ipc::CellPage::create();
    if (!made) return failure(std::move(made.error()));
    pool.cell_pages.push_back(std::move(*made));
  }
  return &pool.cell_pages[page].cell(slot.number % ipc::CellPage::kCells);
}

// The worker's side of this is in worker/worker.cpp.
ipc::RoomForOwnMetrics room_for_own_metrics(const config::PoolConfig& pool) {
  return std::holds_alternative<config::ModuleConfig>(pool.app) ? ipc::RoomForOwnMetrics::kYes
                                                                : ipc::RoomForOwnMetrics::kNo;
}

// What the worker is going to count in. Its end of a scoreboard's descriptor; a cell has none.
Result<os::UniqueFd> open_counters(Pool& pool, Slot& slot) {
  if (exec_of(pool) != nullptr) {
    auto cell = cell_of(pool, slot);
    if (!cell) return failure(std::move(cell.error()));
    slot.cell = *cell;
    ipc::clear(*slot.cell);
    return os::UniqueFd{};
  }
  auto scoreboard = ipc::Scoreboard::create(pool.config->application_threads(), room_for_own_metrics(*pool.config));
  if (!scoreboard) return failure(std::move(scoreboard.error()));
  slot.scoreboard = *std::move(scoreboard);
  return slot.scoreboard->take_descriptor();
}

class WorkerChild final : public os::ChildMain {
 public:
  WorkerChild(WorkerMain worker_main, ipc::Inheritance inheritance, const config::PoolConfig& pool,
              std::shared_ptr<log::Output> log)
      : worker_main_(worker_main), inheritance_(std::move(inheritance)), pool_(&pool), log_(std::move(log)) {}

  int run() noexcept override {
    log::use(log_);
    inheritance_.log_fds = log::descriptors();
    return worker_main_(inheritance_, *pool_);
  }

 private:
  WorkerMain worker_main_;
  ipc::Inheritance inheritance_;
  const config::PoolConfig* pool_;
  std::shared_ptr<log::Output> log_;
};

}  // namespace

void Supervisor::fork_worker(const Place& place, os::TimePoint now) {
  Slot& slot = *place.slot;
  release(slot);
  slot.forked_at = now;
  note_module_file(place);
  auto pid = make_worker(place, now);
  if (!pid) {
    release(slot);
    ++slot.failures;
    report_fork_failure(place, pid.error());
    note_failed_start(place, pid.error().text());
    tell_who_stays(place);
    return apply(place, SlotEvent::kForkFailed, {}, now);
  }
  slot.pid = *pid;
  workers_.insert_or_assign(slot.pid, place);
  if (slot.asking.valid()) askers_.push_back({.fd = std::move(slot.asking), .name = subject(place).text()});
  if (const std::uint32_t failed = std::exchange(place.pool->fork_failures, 0); failed > 0)
    log::warn(MessageCode::kForkWorksAgain, "pool {}: fork works again, after {} failures", place.pool->config->name,
              failed);
  apply(place, SlotEvent::kForked, {}, now);
  // The launcher has said so for it.
  if (slot.serves_already) apply(place, SlotEvent::kReady, {}, now);
}

Result<pid_t> Supervisor::make_worker(const Place& place, os::TimePoint now) {
  ipc::Inheritance inheritance = inheritance_of(*place.pool);
  auto ends = open_ends(place, inheritance);
  if (!ends) return failure(std::move(ends.error()));
  const bool launches = place.pool->launcher.ready;
  if (auto launched = try_launch(place, *ends, now)) return *std::move(launched);
  if (launches) {
    // The launcher may have made a worker too late, which has these ends.
    release(*place.slot);
    ends = open_ends(place, inheritance);
    if (!ends) return failure(std::move(ends.error()));
  }
  return fork_with(std::move(inheritance), *place.generation, *place.pool);
  // The worker's ends close here, in the master.
}

Result<Supervisor::WorkerEnds> Supervisor::open_ends(const Place& place, ipc::Inheritance& inheritance) {
  Slot& slot = *place.slot;
  auto counters = open_counters(*place.pool, slot);
  if (!counters) return failure(std::move(counters.error()));
  auto channel = ipc::Channel::create_pair();
  if (!channel) return failure(std::move(channel.error()));
  inheritance.slot = slot.number;
  inheritance.channel_fd = channel->second.fd();
  inheritance.scoreboard_fd = counters->get();
  inheritance.cell = slot.cell;
  slot.channel = std::move(channel->first);
  auto key = watch(slot.channel.fd(), place, Source::kChannel);
  if (!key) return failure(std::move(key.error()));
  slot.channel_key = *key;
  auto program_end = open_program_ends(place, inheritance);
  if (!program_end) return failure(std::move(program_end.error()));
  auto asking = open_asking_ends(place, inheritance);
  if (!asking) return failure(std::move(asking.error()));
  return WorkerEnds{.channel = std::move(channel->second),
                    .program_end = std::move(*program_end),
                    .counters = std::move(*counters),
                    .asking = std::move(*asking)};
}

// Not the control socket itself: that may be off, be replaced, and be closed to the user that the worker becomes.
Result<os::UniqueFd> Supervisor::open_asking_ends(const Place& place, ipc::Inheritance& inheritance) {
  if (!std::holds_alternative<config::StatusConfig>(place.pool->config->app)) return os::UniqueFd{};
  auto pair = os::make_socket_pair(SOCK_STREAM);
  if (!pair) return failure(std::move(pair.error()));
  place.slot->asking = std::move(pair->first);
  inheritance.control_fd = pair->second.get();
  return std::move(pair->second);
}

ipc::Inheritance Supervisor::inheritance_of(const Pool& pool) const {
  ipc::Inheritance inheritance{.pool = pool.config->name,
                               .generation = pool.generation,
                               .master_pid = ::getpid(),
                               .identity = pool.identity,
                               .listeners = {},
                               .log_fds = {},
                               .descriptor_limit = descriptor_limit_};
  if (const auto& access_log = pool.config->access_log)
    inheritance.access_log_fd = access_logs_->find(access_log->path);
  for (std::size_t i = 0; i < pool.listeners.size(); ++i) {
    const net::Listener* listener = listeners_->find(pool.listeners[i]);
    if (listener == nullptr) continue;
    for (const int fd : listener->descriptors())
      inheritance.listeners.push_back(
          {.fd = fd, .number = static_cast<std::uint32_t>(i), .address = pool.listeners[i]});
  }
  return inheritance;
}

Result<pid_t> Supervisor::fork_with(ipc::Inheritance inheritance, const Generation& generation, const Pool& pool) {
  WorkerChild child{worker_main_, std::move(inheritance), *pool.config, generation.log};
  return os::fork_child(child);
}

void Supervisor::report_fork_failure(const Place& place, const Error& error) {
  if (place.pool->fork_failures++ > 0) return;
  log::error(MessageCode::kForkFailed, "pool {}: {}; trying again with growing pauses, the others go on",
             place.pool->config->name, error.text());
}

}  // namespace prong::master
