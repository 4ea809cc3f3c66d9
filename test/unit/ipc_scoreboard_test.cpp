// The shared page: written by a worker, read by the master, also when the worker is dead or has gone wild.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>
#include <span>
#include <string>

#include "forked.hpp"
#include "ipc/worker_reading.hpp"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;

constexpr os::TimePoint kNow{100s};

struct Made {
  Scoreboard scoreboard;
  os::UniqueFd fd;  // the worker's
};
Made make(std::size_t threads = 1) {
  auto scoreboard = Scoreboard::create(threads);
  REQUIRE(scoreboard.has_value());
  os::UniqueFd fd = scoreboard->take_descriptor();
  return {.scoreboard = *std::move(scoreboard), .fd = std::move(fd)};
}

std::span<std::byte> bytes_of(const Scoreboard& scoreboard) {
  return {reinterpret_cast<std::byte*>(&scoreboard.board()), sizeof(WorkerBoard) + scoreboard.threads().size_bytes()};
}

WorkerTotals totals(const WorkerCounts& counts) {
  return {.counts = counts, .service_time = {}, .queue_delay = {}};
}

}  // namespace

TEST_CASE("a new scoreboard counts nothing, and its threads are idle") {
  const Made made = make(3);
  const WorkerReading reading = read(made.scoreboard, kNow);
  CHECK(reading.totals.counts.connections == 0);
  CHECK(reading.totals.counts.inside() == 0);
  CHECK(reading.totals.service_time.count() == 0);
  REQUIRE(reading.threads.size() == 3);
  for (const auto& thread : reading.threads) CHECK(thread.value().phase == ThreadPhase::kIdle);
  CHECK((::fcntl(made.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("what a worker wrote is there when it has crashed") {
  Made made = make(2);
  const auto told = test::run_forked([&](int) -> std::string {
    const auto opened = Scoreboard::open(std::move(made.fd), 2);
    if (!opened) return "cannot open it";
    WorkerBoard& board = opened->board();
    add(board.counters.connections, 2);
    add(board.counters.connections, 1);
    add(board.counters.begun, 9);
    add(board.counters.requests, 7);
    board.counters.count_status(200);
    board.counters.count_status(503);
    board.counters.count_status(501);
    board.counters.count_status(0);
    board.counters.count_status(600);
    board.service_time.add(3us);
    opened->threads()[1].begin({.since = kNow - 3s, .method = "GET", .target = "/checkout"});
    (void)std::raise(SIGKILL);
    return "survived";
  });
  CHECK(told.code == SIGKILL);
  const WorkerReading reading = read(made.scoreboard, kNow);
  const WorkerCounts& counts = reading.totals.counts;
  CHECK(counts.connections == 3);
  CHECK(counts.requests == 7);
  CHECK(counts.inside() == 2);
  CHECK(counts.classes == std::array<std::uint64_t, kStatusClasses>{0, 1, 0, 0, 2});
  for (std::size_t i = 0; i < kCountedStatuses.size(); ++i)
    CHECK(counts.statuses.at(i) == (kCountedStatuses.at(i) == 503 ? 1 : 0));
  CHECK(reading.totals.service_time.count() == 1);
  CHECK(reading.threads.at(0)->phase == ThreadPhase::kIdle);
  CHECK(reading.threads.at(1)->work() == "GET /checkout");
  CHECK(kNow - reading.threads.at(1)->since == 3s);
}

TEST_CASE("the master's forks do not have the scoreboards of others") {
  const auto has_one = [] {
    std::ifstream maps{"/proc/self/maps"};
    const std::string text{std::istreambuf_iterator<char>{maps}, {}};
    return text.find("prongd-scoreboard") != std::string::npos;
  };
  const Made made = make();
  REQUIRE(has_one());
  CHECK(test::run_forked([&](int) -> std::string { return has_one() ? "has it" : "has none"; }).report == "has none");
}

TEST_CASE("a worker cannot cut what the master reads") {
  const Made made = make();
  CHECK(::ftruncate(made.fd.get(), 0) == -1);
  CHECK(errno == EPERM);
  CHECK(::ftruncate(made.fd.get(), 1 << 20) == -1);
}

TEST_CASE("a memory file that is too small is refused") {
  Made made = make(1);
  CHECK_FALSE(Scoreboard::open(std::move(made.fd), 1'000).has_value());
}

TEST_CASE("a page of cells has one for each worker, and a cleared one is as new") {
  const auto page = CellPage::create();
  REQUIRE(page.has_value());
  for (std::size_t i = 0; i < CellPage::kCells; ++i) {
    WorkerCell& cell = page->cell(i);
    CHECK(reinterpret_cast<std::uintptr_t>(&cell) % alignof(WorkerCell) == 0);
    add(cell.connections, i + 1);
    cell.open_connections.store(i + 3);
  }
  clear(page->cell(7));
  for (std::size_t i = 0; i < CellPage::kCells; ++i) {
    const WorkerCounts counts = counts_of(page->cell(i));
    CHECK(counts.connections == (i == 7 ? 0 : i + 1));
    CHECK(counts.open_connections == (i == 7 ? 0 : i + 3));
  }
}

TEST_CASE("counts are added up, and stop at the largest number") {
  WorkerCounts sum{.connections = 1, .begun = 5, .requests = 4, .received_bytes = 10, .classes = {0, 4}};
  WorkerCounts other{.connections = 2, .begun = std::numeric_limits<std::uint64_t>::max(), .classes = {1, 1}};
  other.statuses.back() = 3;
  sum.merge(other);
  CHECK(sum.connections == 3);
  CHECK(sum.begun == std::numeric_limits<std::uint64_t>::max());
  CHECK(sum.requests == 4);
  CHECK(sum.received_bytes == 10);
  CHECK(sum.classes == std::array<std::uint64_t, kStatusClasses>{1, 5, 0, 0, 0});
  CHECK(sum.statuses.back() == 3);
}

TEST_CASE("numbers that a worker can have are plausible, also one that was killed between two of them") {
  CHECK(is_plausible({}, 0ns));
  CHECK(is_plausible(totals({.connections = 100, .begun = 10, .requests = 8, .classes = {0, 8}}), 1s));
  CHECK(is_plausible(totals({.begun = 10, .requests = 10, .cut = 1, .refused = 2, .classes = {0, 9, 0, 2}}), 1s));
  CHECK(is_plausible(totals({.begun = 7, .requests = 8, .classes = {0, 9}}), 1s));
  CHECK(is_plausible(totals({.connections = 90'000, .received_bytes = 20'000'000'000}), 1s));
}

TEST_CASE("numbers that no worker can have come to are told") {
  CHECK_FALSE(is_plausible(totals({.connections = 20'000'000}), 1s));
  CHECK_FALSE(is_plausible(totals({.sent_bytes = 1'000'000'000'000'000}), 1s));
  CHECK_FALSE(is_plausible(totals({.begun = 10, .requests = 100}), 1s));
  CHECK_FALSE(is_plausible(totals({.begun = 100, .requests = 10, .cut = 50}), 1s));
  CHECK_FALSE(is_plausible(totals({.begun = 100, .requests = 10, .classes = {0, 50}}), 1s));
  CHECK_FALSE(is_plausible(totals({.connections = 10, .open_connections = 100}), 1s));
}

TEST_CASE("a scoreboard full of any bytes is read without harm, and is not plausible") {
  std::mt19937_64 random(4711);  // NOLINT(cert-msc51-cpp): the same each time
  const Made made = make(4);
  const std::span<std::byte> bytes = bytes_of(made.scoreboard);
  for (int round = 0; round < 2'000; ++round) {
    // A few wild writes, or all of it.
    const std::size_t writes = round % 2 == 0 ? 1 + (random() % 50) : bytes.size();
    for (std::size_t i = 0; i < writes; ++i) bytes[random() % bytes.size()] = static_cast<std::byte>(random());
    const WorkerReading reading = read(made.scoreboard, kNow);
    CHECK(reading.threads.size() == 4);
    (void)reading.totals.service_time.percentile(0.99);
    WorkerTotals sum = reading.totals;
    sum.merge(reading.totals);
    if (round > 10) CHECK_FALSE(is_plausible(reading.totals, 1h));
  }
}

}  // namespace prong::ipc
