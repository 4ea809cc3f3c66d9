// Whether an `event` worker is stuck: what looks at its cell make of it.
#include <catch2/catch.hpp>

#include <optional>

#include "master/call_watch.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;

constexpr os::TimePoint kBegin{1'000s};

std::optional<ipc::ThreadReading> call(std::uint64_t number, ipc::ThreadPhase phase = ipc::ThreadPhase::kRequest) {
  // The worker's own word for when it began is not to be relied upon: as if it had been there for ever.
  return ipc::ThreadReading{.phase = phase, .number = number, .since = os::TimePoint{}};
}

config::PoolConfig pool(config::Concurrency concurrency, Duration request_timeout) {
  config::PoolConfig pool;
  pool.concurrency = concurrency;
  pool.request_timeout = request_timeout;
  return pool;
}

// The look that finds it stuck, from 1; 0: none of them does.
int found_at(Duration timeout, Duration apart, const std::vector<std::optional<ipc::ThreadReading>>& readings,
             config::Concurrency concurrency = config::Concurrency::kEvent) {
  config::PoolConfig watched = pool(concurrency, timeout);
  if (concurrency != config::Concurrency::kEvent) watched.app = config::ModuleConfig{};
  std::optional<WatchedCall> seen;
  os::TimePoint now = kBegin;
  int look = 0;
  for (const auto& reading : readings) {
    ++look;
    seen = watch_call(seen, reading, watched, now);
    if (is_stuck(seen, timeout, now)) return look;
    now += apart;
  }
  return 0;
}

}  // namespace

TEST_CASE("pools whose requests run on other threads are not looked at, nor those without request_timeout") {
  using enum config::Concurrency;
  CHECK(time_between_looks(pool(kEvent, 60s)) == Duration{15s});
  CHECK(time_between_looks(pool(kEvent, 1s)) == Duration{250ms});
  CHECK(time_between_looks(pool(kEvent, 1ms)) == Duration{250ms});
  CHECK(time_between_looks(pool(kEvent, 0s)) == std::nullopt);
  CHECK(time_between_looks(pool(kThread, 60s)) == std::nullopt);
  CHECK(time_between_looks(pool(kProcess, 60s)) == std::nullopt);
  config::PoolConfig program = pool(kEvent, 60s);
  program.app = config::ExecConfig{};
  CHECK(time_between_looks(program) == std::nullopt);
  config::PoolConfig module = pool(kThread, 60s);
  module.app = config::ModuleConfig{};
  CHECK(time_between_looks(module) == Duration{15s});
}

TEST_CASE("of a module on threads its timers and posted functions are watched, for its requests somebody else is") {
  using enum config::Concurrency;
  using enum ipc::ThreadPhase;
  CHECK(found_at(1s, 500ms, {call(1, kOwn), call(1, kOwn), call(1, kOwn)}, kThread) == 3);
  CHECK(found_at(1s, 500ms, {call(1, kOwn), call(1, kOwn), call(1, kOwn)}, kProcess) == 3);
  CHECK(found_at(1s, 500ms, {call(1, kOwn), call(2, kOwn), call(3, kOwn)}, kThread) == 0);
  for (const ipc::ThreadPhase phase : {kRequest, kBody, kStream})
    CHECK(found_at(1s, 500ms, {call(1, phase), call(1, phase), call(1, phase)}, kThread) == 0);
  config::PoolConfig module = pool(kThread, 60s);
  module.app = config::ModuleConfig{};
  CHECK(stuck_at(std::nullopt, *call(8, kOwn), module, kBegin) == kBegin + 60s);
  CHECK(stuck_at(std::nullopt, *call(8, kRequest), module, kBegin) == std::nullopt);
}

TEST_CASE("a worker is stuck that is found in the same call for request_timeout, whatever it says when it began") {
  CHECK(found_at(1s, 250ms, {call(7), call(7), call(7), call(7)}) == 0);
  CHECK(found_at(1s, 250ms, {call(7), call(7), call(7), call(7), call(7)}) == 5);
  CHECK(found_at(1s, 250ms, {std::nullopt, call(7), call(7), call(7), call(7), call(7)}) == 6);
  CHECK(found_at(1ms, 250ms, {call(7), call(7)}) == 2);
  using enum ipc::ThreadPhase;
  CHECK(found_at(1s, 500ms, {call(1, kStream), call(1, kStream), call(1, kStream)}) == 3);
  CHECK(found_at(1s, 500ms, {call(1, kRequest), call(1, kBody), call(1, kBody)}) == 3);
}

TEST_CASE("a worker that goes from call to call is not stuck, however busy it is") {
  CHECK(found_at(1s, 500ms, {call(1), call(2), call(3), call(4), call(5), call(6)}) == 0);
  CHECK(found_at(1s, 500ms, {call(1), call(1), call(2), call(2), call(3), call(3)}) == 0);
}

TEST_CASE("a call is said to be stuck when the look that has seen it first is that long ago") {
  using enum config::Concurrency;
  const config::PoolConfig event = pool(kEvent, 60s);
  const WatchedCall seen{.number = 7, .seen = kBegin};
  CHECK(stuck_at(seen, *call(7), event, kBegin + 10s) == kBegin + 60s);
  CHECK(stuck_at(seen, *call(8), event, kBegin + 10s) == kBegin + 70s);
  CHECK(stuck_at(std::nullopt, *call(8), event, kBegin) == kBegin + 60s);
  CHECK(stuck_at(seen, *call(7, ipc::ThreadPhase::kIdle), event, kBegin) == std::nullopt);
  CHECK(stuck_at(seen, *call(7), pool(kEvent, 0s), kBegin) == std::nullopt);
  CHECK(stuck_at(seen, *call(7), pool(kThread, 60s), kBegin) == std::nullopt);
}

TEST_CASE("an idle worker is not stuck, nor one whose cell cannot be read") {
  using enum ipc::ThreadPhase;
  CHECK(found_at(1s, 500ms, {call(1, kIdle), call(1, kIdle), call(1, kIdle), call(1, kIdle)}) == 0);
  CHECK(found_at(1s, 500ms, {call(1), call(1, kIdle), call(1), call(1)}) == 0);
  CHECK(found_at(1s, 500ms, {call(1), std::nullopt, call(1), call(1)}) == 0);
  CHECK(found_at(1s, 500ms, {std::nullopt, std::nullopt, std::nullopt, std::nullopt}) == 0);
}

}  // namespace prong::master
