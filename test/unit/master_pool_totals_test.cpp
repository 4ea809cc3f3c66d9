// What is left of dead workers: their pool's numbers.
#include <catch2/catch.hpp>

#include <limits>

#include "master/pool_totals.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;

ipc::WorkerTotals worker(const ipc::WorkerCounts& counts) {
  ipc::HistogramCells cells{};
  for (std::uint64_t i = 0; i < counts.requests; ++i) cells.add(5us);
  return {.counts = counts, .service_time = ipc::Histogram::of(cells), .queue_delay = {}};
}

const DeathNote left{.worker = "a", .text = "left", .cause = "reload", .expected = true, .at = {}};
const DeathNote crashed{.worker = "b", .text = "crashed", .cause = "SIGSEGV", .expected = false, .at = {}};

}  // namespace

TEST_CASE("a pool that had no workers has zeros") {
  const PoolBook book;
  CHECK(book.of("shop").workers == 0);
  CHECK(book.of("shop").served.counts.requests == 0);
  CHECK(book.pools().empty());
}

TEST_CASE("dead workers are added to their pool, by its name") {
  PoolBook book;
  book.bury("shop", worker({.connections = 2, .begun = 5, .requests = 5}), {}, 1s, left);
  book.bury("shop", worker({.connections = 1, .open_connections = 1, .begun = 9, .requests = 7}), {}, 1s, crashed);
  book.bury("files", worker({.connections = 1}), {}, 1s, left);
  const PoolTotals shop = book.of("shop");
  CHECK(shop.workers == 2);
  CHECK(shop.unexpected_deaths == 1);
  CHECK(shop.served.counts.connections == 3);
  CHECK(shop.served.counts.open_connections == 0);
  CHECK(shop.served.counts.requests == 12);
  CHECK(shop.lost_requests == 2);
  CHECK(shop.served.counts.inside() == 0);
  CHECK(shop.served.service_time.count() == 12);
  CHECK(book.of("files").served.counts.connections == 1);
  CHECK(book.pools().size() == 2);
}

TEST_CASE("deaths are counted by their cause, and the last one that somebody should know of stays") {
  PoolBook book;
  CHECK_FALSE(book.of("shop").last_death.has_value());
  book.bury("shop", {}, {}, 1s, left);
  CHECK(book.of("shop").last_death->text == "left");
  book.bury("shop", {}, {}, 1s, crashed);
  CHECK(book.of("shop").last_death->text == "crashed");
  book.bury("shop", {}, {}, 1s, left);
  CHECK(book.of("shop").last_death->text == "crashed");
  CHECK(book.of("shop").deaths_by_cause == std::map<std::string, std::uint64_t>{{"SIGSEGV", 1}, {"reload", 2}});
}

TEST_CASE("a worker that has overwritten its numbers is counted, and its numbers are not") {
  PoolBook book;
  book.bury("shop", worker({.connections = 2, .begun = 5, .requests = 5}), {}, 1s, left);
  book.bury("shop", worker({.connections = std::numeric_limits<std::uint64_t>::max()}), {}, 1s, crashed);
  const PoolTotals shop = book.of("shop");
  CHECK(shop.workers == 2);
  CHECK(shop.overwritten == 1);
  CHECK(shop.served.counts.connections == 2);
  PoolTotals with_live = shop;
  with_live.add_live(worker({.begun = std::numeric_limits<std::uint64_t>::max()}), {}, 1s);
  CHECK(with_live.overwritten == 2);
  CHECK(with_live.served.counts.begun == 5);
}

TEST_CASE("live workers are added for whoever asks, and to nothing else") {
  PoolBook book;
  book.bury("shop", worker({.begun = 5, .requests = 5}), {}, 1s, left);
  PoolTotals totals = book.of("shop");
  totals.add_live(worker({.connections = 1, .open_connections = 1, .begun = 3, .requests = 2}), {}, 1s);
  CHECK(totals.served.counts.requests == 7);
  CHECK(totals.served.counts.open_connections == 1);
  CHECK(totals.served.counts.inside() == 1);
  CHECK(totals.lost_requests == 0);
  CHECK(book.of("shop").served.counts.requests == 5);
}

TEST_CASE("totals are told in one line, which leaves out what did not happen") {
  PoolTotals totals;
  totals.workers = 3;
  totals.served.counts = {.connections = 7, .begun = 12, .requests = 12};
  CHECK(totals.text() == "7 connections, 12 requests, 3 workers");
  totals.served.counts.cut = 1;
  totals.served.counts.refused = 4;
  totals.lost_requests = 2;
  totals.unexpected_deaths = 1;
  totals.overwritten = 1;
  CHECK(totals.text() ==
        "7 connections, 12 requests (1 cut, 2 lost, 4 refused), 3 workers, 1 died unexpectedly, "
        "the numbers of 1 are not known");
}

}  // namespace prong::master
