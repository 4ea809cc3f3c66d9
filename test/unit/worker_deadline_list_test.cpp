// Deadlines of many waiters that wait equally long.
#include <catch2/catch.hpp>

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "os/clock.hpp"
#include "walk.hpp"
#include "worker/deadline_list.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;

constexpr os::TimePoint kStart{};

}  // namespace

TEST_CASE("who began to wait first is late first, and nobody before his time") {
  DeadlineList list{10ms};
  std::array<Waiter, 3> waiters;
  for (std::size_t i = 0; i < waiters.size(); ++i) list.start(waiters.at(i), kStart + std::chrono::milliseconds{i});
  CHECK(list.next_deadline() == kStart + 10ms);
  CHECK(list.take_late(kStart + 10ms - 1ns) == nullptr);
  CHECK(list.take_late(kStart + 11ms) == waiters.data());
  CHECK(list.take_late(kStart + 11ms) == &waiters[1]);
  CHECK(list.take_late(kStart + 11ms) == nullptr);
  CHECK(list.next_deadline() == kStart + 12ms);
  CHECK(list.take_late(kStart + 1h) == &waiters[2]);
  CHECK(list.take_late(kStart + 1h) == nullptr);
  CHECK_FALSE(list.next_deadline().has_value());
}

TEST_CASE("who is late waits no more") {
  DeadlineList list{1ms};
  Waiter waiter;
  CHECK_FALSE(waiter.is_waiting());
  list.start(waiter, kStart);
  CHECK(waiter.is_waiting());
  CHECK(list.take_late(kStart + 1ms) == &waiter);
  CHECK_FALSE(waiter.is_waiting());
}

TEST_CASE("who starts anew goes to the end") {
  DeadlineList list{10ms};
  Waiter first;
  Waiter second;
  list.start(first, kStart);
  list.start(second, kStart + 1ms);
  list.start(first, kStart + 2ms);
  CHECK(list.next_deadline() == kStart + 11ms);
  CHECK(list.take_late(kStart + 1h) == &second);
  CHECK(list.take_late(kStart + 1h) == &first);
}

TEST_CASE("who has waited for a time already goes before those that began later") {
  DeadlineList list{10ms};
  std::array<Waiter, 4> waiters;
  list.start(waiters[0], kStart);
  list.start(waiters[1], kStart + 5ms);
  list.start(waiters[2], kStart + 2ms);
  list.start(waiters[3], kStart - 1ms);
  CHECK(list.began(waiters[2]) == kStart + 2ms);
  for (const std::size_t expected : {3U, 0U, 2U, 1U}) CHECK(list.take_late(kStart + 1h) == &waiters.at(expected));
}

TEST_CASE("a waiter is in one list at a time") {
  DeadlineList idle{10ms};
  DeadlineList sending{5ms};
  Waiter waiter;
  idle.start(waiter, kStart);
  sending.start(waiter, kStart);
  CHECK_FALSE(idle.next_deadline().has_value());
  CHECK(sending.next_deadline() == kStart + 5ms);
}

TEST_CASE("whoever leaves, or is destroyed, is out of the list, wherever he stood in it") {
  DeadlineList list{10ms};
  Waiter first;
  auto middle = std::make_unique<Waiter>();
  Waiter last;
  list.start(first, kStart);
  list.start(*middle, kStart);
  list.start(last, kStart);
  middle.reset();
  first.stop_waiting();
  first.stop_waiting();  // a second time does nothing
  CHECK(list.take_late(kStart + 10ms) == &last);
  CHECK(list.take_late(kStart + 10ms) == nullptr);
}

TEST_CASE("waiters may outlive their list") {
  Waiter first;
  Waiter second;
  {
    DeadlineList list{10ms};
    list.start(first, kStart);
    list.start(second, kStart);
  }
  CHECK_FALSE(first.is_waiting());
  CHECK_FALSE(second.is_waiting());
  DeadlineList other{10ms};
  other.start(first, kStart);
  CHECK(other.take_late(kStart + 10ms) == &first);
}

TEST_CASE("a long random walk gives the order of an honest queue") {
  auto random = test::chance(20'261'123);
  DeadlineList list{7ms};
  std::vector<Waiter> waiters(20);
  std::vector<std::optional<os::TimePoint>> deadlines(waiters.size());
  os::TimePoint now = kStart;
  std::size_t wrong = 0;
  for (int step = 0; step < 100'000; ++step) {
    now += std::chrono::microseconds{random() % 1'000};
    const std::size_t i = random() % waiters.size();
    if (random() % 3 == 0) {
      waiters[i].stop_waiting();
      deadlines[i].reset();
    } else {
      list.start(waiters[i], now);
      deadlines[i] = now + 7ms;
    }
    while (const Waiter* late = list.take_late(now)) {
      auto& deadline = deadlines.at(static_cast<std::size_t>(late - waiters.data()));
      if (!deadline || *deadline > now) ++wrong;
      deadline.reset();
    }
    std::optional<os::TimePoint> nearest;
    for (const auto& deadline : deadlines)
      if (deadline && (!nearest || *deadline < *nearest)) nearest = deadline;
    if (nearest != list.next_deadline() || (nearest && *nearest <= now)) ++wrong;
  }
  CHECK(wrong == 0);
}

}  // namespace prong::worker
