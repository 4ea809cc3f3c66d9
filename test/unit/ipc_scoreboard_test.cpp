// The shared page: written by a worker, read by the master, also when the worker is dead.
#include <catch2/catch.hpp>
#include <fcntl.h>

#include <csignal>
#include <cstdint>

#include "forked.hpp"
#include "ipc/scoreboard.hpp"

namespace prong::ipc {

TEST_CASE("a new scoreboard counts nothing") {
  const auto scoreboard = Scoreboard::create();
  REQUIRE(scoreboard.has_value());
  CHECK(scoreboard->counts().connections == 0);
  CHECK(scoreboard->counts().requests == 0);
  CHECK(scoreboard->counts().open_connections == 0);
  CHECK(reinterpret_cast<std::uintptr_t>(&scoreboard->cell()) % alignof(WorkerCell) == 0);
  CHECK((::fcntl(scoreboard->fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("what a worker counted is there when it has crashed") {
  const auto scoreboard = Scoreboard::create();
  REQUIRE(scoreboard.has_value());
  const auto told = test::run_forked([&](int) -> std::string {
    WorkerCell& cell = scoreboard->cell();
    WorkerCell::add(cell.connections, 2);
    WorkerCell::add(cell.connections, 1);
    WorkerCell::add(cell.requests, 7);
    cell.open_connections.store(5);
    (void)std::raise(SIGKILL);
    return "survived";
  });
  CHECK(told.signalled);
  CHECK(told.code == SIGKILL);
  CHECK(scoreboard->counts().connections == 3);
  CHECK(scoreboard->counts().requests == 7);
  CHECK(scoreboard->counts().open_connections == 5);
}

TEST_CASE("each cell counts for itself, and a cleared one is as new") {
  const auto scoreboard = Scoreboard::create();
  REQUIRE(scoreboard.has_value());
  for (std::size_t i = 0; i < Scoreboard::kCells; ++i) {
    WorkerCell& cell = scoreboard->cell(i);
    CHECK(reinterpret_cast<std::uintptr_t>(&cell) % alignof(WorkerCell) == 0);
    WorkerCell::add(cell.connections, i + 1);
    WorkerCell::add(cell.requests, i + 2);
    cell.open_connections.store(i + 3);
  }
  clear(scoreboard->cell(7));
  for (std::size_t i = 0; i < Scoreboard::kCells; ++i) {
    const WorkerCounts counts = scoreboard->counts(i);
    CHECK(counts.connections == (i == 7 ? 0 : i + 1));
    CHECK(counts.requests == (i == 7 ? 0 : i + 2));
    CHECK(counts.open_connections == (i == 7 ? 0 : i + 3));
  }
}

TEST_CASE("two scoreboards share nothing, and a moved one keeps its page") {
  auto first = Scoreboard::create();
  auto second = Scoreboard::create();
  REQUIRE((first && second));
  WorkerCell::add(first->cell().requests, 1);
  CHECK(second->counts().requests == 0);
  const Scoreboard moved = std::move(*first);
  CHECK(moved.counts().requests == 1);
}

}  // namespace prong::ipc
