// What a worker may take, by what it holds; and the requests that it watches.
#include <catch2/catch.hpp>

#include "worker/admission.hpp"
#include "worker/request_watch.hpp"

namespace prong::worker {

using namespace std::chrono_literals;
using config::Concurrency;

TEST_CASE("event takes connections up to its limit, whatever they do") {
  CHECK(admission(Concurrency::kEvent, {.connections = 9, .idle = 9, .most_connections = 10}) == Admission::kTake);
  CHECK(admission(Concurrency::kEvent, {.connections = 10, .idle = 10, .most_connections = 10}) == Admission::kLeave);
}

TEST_CASE("thread takes a connection only while a thread is free") {
  CHECK(admission(Concurrency::kThread, {.connections = 9, .most_connections = 10}) == Admission::kTake);
  CHECK(admission(Concurrency::kThread, {.connections = 9, .most_connections = 10, .has_free_thread = false}) ==
        Admission::kLeave);
  CHECK(admission(Concurrency::kThread, {.connections = 10, .most_connections = 10}) == Admission::kLeave);
}

TEST_CASE("process takes one connection, in reserve while its only one is idle") {
  const auto of = [](std::size_t connections, std::size_t idle, std::size_t lingering, bool free = true) {
    return admission(Concurrency::kProcess, {.connections = connections,
                                             .idle = idle,
                                             .lingering = lingering,
                                             .most_connections = 10,
                                             .has_free_thread = free});
  };
  CHECK(of(0, 0, 0) == Admission::kTake);
  CHECK(of(1, 0, 0) == Admission::kLeave);
  CHECK(of(1, 1, 0) == Admission::kReserve);
  CHECK(of(2, 1, 0) == Admission::kLeave);
  // Who only has to close holds nobody up, as long as there is room for more.
  CHECK(of(1, 0, 1) == Admission::kTake);
  CHECK(of(9, 1, 8) == Admission::kReserve);
  CHECK(of(10, 0, 10) == Admission::kLeave);
  // The client has left, and its request is still worked on.
  CHECK(of(0, 0, 0, false) == Admission::kLeave);
}

TEST_CASE("a request whose client has left is watched until it is done or late") {
  const os::TimePoint start{};
  RequestWatch watch{10ms};
  watch.note_left(1, "GET /1", start);
  watch.note_left(2, "GET /2", start + 1ms);
  watch.note_left(3, "GET /3", start + 2ms);
  CHECK(watch.next_deadline() == start + 10ms);
  watch.note_done(1);
  CHECK_FALSE(watch.take_late(start + 10ms));
  CHECK(watch.overrun() == 0);
  CHECK(watch.take_late(start + 11ms) == "GET /2");
  CHECK_FALSE(watch.take_late(start + 11ms));
  CHECK(watch.overrun() == 1);
  watch.note_done(2);  // it came back after all
  CHECK(watch.overrun() == 0);
  CHECK(watch.next_deadline() == start + 12ms);
}

TEST_CASE("a request that overran before its client left is counted once") {
  RequestWatch watch{10ms};
  watch.note_overrun(1);
  watch.note_left(1, "GET /", {});
  CHECK(watch.overrun() == 1);
  CHECK_FALSE(watch.next_deadline().has_value());
  watch.note_done(1);
  CHECK(watch.overrun() == 0);
}

TEST_CASE("without a timeout no request is late") {
  RequestWatch watch{0ms};
  watch.note_left(1, "GET /", {});
  CHECK_FALSE(watch.next_deadline().has_value());
  CHECK_FALSE(watch.take_late(os::TimePoint{} + 1h));
}

}  // namespace prong::worker
