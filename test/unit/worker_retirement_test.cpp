// When a worker asks to retire, and when it does not.
#include <catch2/catch.hpp>

#include <memory>
#include <set>
#include <string>

#include "worker/retirement.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;
using namespace prong::literals;
using Catch::Contains;

constexpr os::TimePoint kStart{1h};

// What is measured, and how often it was.
struct Memory {
  ByteSize size{};
  int measured = 0;
};

Retirement::MeasureMemory reading(Memory& memory) {
  return [&memory]() -> Result<ByteSize> {
    ++memory.measured;
    return memory.size;
  };
}

Retirement retirement_of(const config::PoolConfig& pool, std::uint64_t seed = 1) {
  return {pool, [] { return Result<ByteSize>{0_B}; }, kStart, seed};
}

config::PoolConfig with_memory(ByteSize most, Duration grace = 0s) {
  config::PoolConfig pool;
  pool.max_memory = most;
  pool.memory_grace = grace;
  return pool;
}

}  // namespace

TEST_CASE("a worker without limits never asks and needs no timer") {
  const config::PoolConfig pool;
  Retirement retirement = retirement_of(pool);
  CHECK(retirement.look({.requests = 1'000'000'000, .connections = 7}, kStart + 10'000h).reason.empty());
  CHECK(retirement.next_look() == std::nullopt);
}

TEST_CASE("a worker asks with the request that reaches max_requests") {
  config::PoolConfig pool;
  pool.max_requests = 10;
  Retirement retirement = retirement_of(pool);
  CHECK(retirement.look({.requests = 9}, kStart).reason.empty());
  CHECK(retirement.look({.requests = 10}, kStart).reason == "10 requests served (max_requests = 10)");
  CHECK(retirement.next_look() == kStart + 1s);  // to say it again; without a limit of time there is no other
}

TEST_CASE("a reason is given again after a while until it was heard, and then no more") {
  config::PoolConfig pool;
  pool.max_requests = 10;
  Retirement retirement = retirement_of(pool);
  CHECK_FALSE(retirement.look({.requests = 11}, kStart).reason.empty());
  CHECK(retirement.look({.requests = 12}, kStart + 999ms).reason.empty());
  CHECK_FALSE(retirement.look({.requests = 12}, kStart + 1s).reason.empty());
  retirement.asked();
  CHECK(retirement.look({.requests = 13}, kStart + 10h).reason.empty());
  CHECK(retirement.next_look() == std::nullopt);
}

TEST_CASE("the jitter is drawn once for each worker, from all that it may be") {
  config::PoolConfig pool;
  pool.max_requests = 10;
  pool.max_requests_jitter = 3;
  std::set<std::uint64_t> seen;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Retirement retirement = retirement_of(pool, seed);
    std::uint64_t requests = 0;
    std::string reason;
    while (reason.empty() && requests < 100) reason = retirement.look({.requests = ++requests}, kStart).reason;
    seen.insert(requests);
    CHECK_THAT(reason, Contains("(max_requests = 10, with jitter " + std::to_string(requests) + ")"));
  }
  CHECK(seen == std::set<std::uint64_t>{10, 11, 12, 13});
}

TEST_CASE("a worker asks at the end of its life, also when it has served nothing") {
  config::PoolConfig pool;
  pool.max_lifetime = 1h;
  Retirement retirement = retirement_of(pool);
  CHECK(retirement.next_look() == kStart + 1h);
  CHECK(retirement.look({}, kStart + 1h - 1ns).reason.empty());
  CHECK(retirement.look({}, kStart + 1h).reason == "1h 0m old (max_lifetime = 1h)");
}

TEST_CASE("lives have a jitter of their own") {
  config::PoolConfig pool;
  pool.max_lifetime = 1h;
  pool.max_lifetime_jitter = 10min;
  std::set<os::TimePoint> ends;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const os::TimePoint end = *retirement_of(pool, seed).next_look();
    CHECK(end >= kStart + 1h);
    CHECK(end <= kStart + 1h + 10min);
    ends.insert(end);
  }
  CHECK(ends.size() > 90);
}

TEST_CASE("workers that are forked in the same instant need not be as old as each other") {
  config::PoolConfig pool;
  pool.max_lifetime = 1h;
  pool.max_lifetime_jitter = 10min;
  const Retirement retirement = Retirement::of(pool, kStart);
  CHECK(*retirement.next_look() >= kStart + 1h);
  CHECK(*retirement.next_look() <= kStart + 1h + 10min);
}

TEST_CASE("memory above the limit in three measurements in a row is a reason, a peak is none") {
  const config::PoolConfig pool = with_memory(100_MiB);
  Memory memory{.size = 101_MiB};
  Retirement retirement{pool, reading(memory), kStart, 1};
  CHECK(retirement.look({.requests = 1}, kStart).reason.empty());
  CHECK(retirement.look({.requests = 2}, kStart + 1s).reason.empty());
  memory.size = 100_MiB;
  CHECK(retirement.look({.requests = 3}, kStart + 2s).reason.empty());
  memory.size.bytes += 1;
  CHECK(retirement.look({.requests = 4}, kStart + 3s).reason.empty());
  CHECK(retirement.look({.requests = 5}, kStart + 4s).reason.empty());
  CHECK(retirement.look({.requests = 6}, kStart + 5s).reason ==
        "100.0MiB of memory (rss), more than max_memory = 100MiB");
  CHECK(memory.measured == 6);
}

TEST_CASE("memory is measured at most once a second, and only after something was served") {
  const config::PoolConfig pool = with_memory(100_MiB);
  Memory memory{.size = 200_MiB};
  Retirement retirement{pool, reading(memory), kStart, 1};
  CHECK(retirement.next_look() == std::nullopt);
  (void)retirement.look({}, kStart + 5s);
  CHECK(memory.measured == 0);
  (void)retirement.look({.requests = 1}, kStart + 5s);
  CHECK(memory.measured == 1);
  (void)retirement.look({.requests = 2}, kStart + 6s - 1ns);
  CHECK(memory.measured == 1);
  (void)retirement.look({.requests = 2}, kStart + 6s);
  CHECK(memory.measured == 2);
  CHECK(retirement.look({.requests = 2}, kStart + 10h).reason.empty());
  CHECK(memory.measured == 2);
  // What streams counts no requests.
  CHECK_FALSE(retirement.look({.requests = 2, .connections = 1}, kStart + 10h).reason.empty());
  CHECK(retirement.next_look() == kStart + 10h + 1s);
}

TEST_CASE("a young worker warns once and asks when its grace is over") {
  const config::PoolConfig pool = with_memory(10_MiB, 1min);
  Memory memory{.size = 11_MiB};
  Retirement retirement{pool, reading(memory), kStart, 1};
  std::uint64_t requests = 0;
  int warnings = 0;
  for (auto age = 1s; age < 60s; age += 1s) {
    const Retirement::Finding found = retirement.look({.requests = ++requests}, kStart + age);
    CHECK(found.reason.empty());
    if (found.warning.empty()) continue;
    ++warnings;
    CHECK(found.warning ==
          "has 11.0MiB of memory (rss), more than max_memory = 10MiB after only 3.0s; it retires when it is older than "
          "memory_grace = 1m");
  }
  CHECK(warnings == 1);
  CHECK_FALSE(retirement.look({.requests = ++requests}, kStart + 60s).reason.empty());
}

TEST_CASE("memory that cannot be measured is told once, and the other limits hold") {
  config::PoolConfig pool = with_memory(10_MiB);
  pool.max_requests = 10;
  Retirement retirement{pool, [] { return Result<ByteSize>{failure("cannot read /proc/self/statm")}; }, kStart, 1};
  CHECK(retirement.look({.requests = 1}, kStart).warning == "max_memory does nothing: cannot read /proc/self/statm");
  CHECK(retirement.look({.requests = 2}, kStart + 2s).warning.empty());
  CHECK_FALSE(retirement.look({.requests = 10}, kStart + 3s).reason.empty());
}

}  // namespace prong::worker
