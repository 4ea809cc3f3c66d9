// What one connection's requests come to in the worker's books.
#include <catch2/catch.hpp>

#include <chrono>
#include <memory>

#include "ipc/worker_reading.hpp"
#include "worker/request_account.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  std::unique_ptr<ipc::WorkerBoard> board = std::make_unique<ipc::WorkerBoard>();
  os::TimePoint clock = os::now();
  RequestAccount account{{.board = board.get(), .clock = &clock}, nullptr};
  std::uint64_t queued = 0;

  void begin_answer(std::uint16_t status = 200) {
    account.answer_begins({}, http::Response{.status = status}, queued, queued + 10);
    queued += 10;
  }
  void answer(std::uint16_t status = 200) {
    begin_answer(status);
    account.answer_ends(queued);
  }
  [[nodiscard]] ipc::WorkerTotals totals() const { return ipc::totals_of(*board); }
  [[nodiscard]] ipc::WorkerCounts counts() const { return totals().counts; }
};

}  // namespace

TEST_CASE("a request is over when the last byte of its answer was sent") {
  Fixture fixture;
  fixture.account.request_begins();
  CHECK(fixture.counts().begun == 1);
  fixture.answer(404);
  fixture.account.note_sent(9);
  CHECK(fixture.counts().requests == 0);
  CHECK(fixture.counts().inside() == 1);
  fixture.account.note_sent(10);
  const ipc::WorkerTotals totals = fixture.totals();
  CHECK(totals.counts.requests == 1);
  CHECK(totals.counts.inside() == 0);
  CHECK(totals.counts.cut == 0);
  CHECK(totals.counts.classes[3] == 1);
  CHECK(totals.service_time.count() == 1);
  fixture.account.note_end(10);
  CHECK(fixture.counts().requests == 1);
}

TEST_CASE("the time of a request runs from the loop's clock at its head, which is brought up to date at its end") {
  Fixture fixture;
  fixture.clock = os::now() - 2h;
  fixture.account.request_begins();
  const os::TimePoint before = os::now();
  fixture.answer();
  fixture.account.note_sent(10);
  CHECK(fixture.clock >= before);
  CHECK(fixture.totals().service_time.sum() >= 2h);
  CHECK(fixture.totals().service_time.sum() < 3h);
}

TEST_CASE("answers that are sent together are all counted, in their order") {
  Fixture fixture;
  for (int i = 0; i < 5; ++i) {
    fixture.account.request_begins();
    fixture.answer();
  }
  fixture.account.note_sent(25);
  CHECK(fixture.counts().requests == 2);
  fixture.account.note_sent(49);
  CHECK(fixture.counts().requests == 4);
  fixture.account.request_begins();
  fixture.answer(500);
  fixture.account.note_sent(60);
  CHECK(fixture.counts().requests == 6);
  CHECK(fixture.counts().classes[1] == 5);
  CHECK(fixture.counts().classes[4] == 1);
  CHECK(fixture.totals().service_time.count() == 6);
}

TEST_CASE("a connection that goes cuts what was under way, each request once") {
  Fixture fixture;
  fixture.account.request_begins();
  fixture.answer();
  fixture.account.request_begins();
  fixture.answer();
  fixture.account.request_begins();
  fixture.begin_answer();  // its body is being made
  fixture.account.note_end(10);
  const ipc::WorkerTotals totals = fixture.totals();
  CHECK(totals.counts.begun == 3);
  CHECK(totals.counts.requests == 3);
  CHECK(totals.counts.cut == 2);
  CHECK(totals.counts.classes[1] == 1);
  CHECK(totals.service_time.count() == 1);
}

TEST_CASE("a request that has no answer when its client leaves is cut") {
  Fixture fixture;
  fixture.account.request_begins();
  fixture.account.note_end(0);
  CHECK(fixture.counts().requests == 1);
  CHECK(fixture.counts().cut == 1);
}

TEST_CASE("what was no request is refused, and has a status but no time") {
  Fixture fixture;
  fixture.answer(400);
  fixture.account.note_end(10);
  const ipc::WorkerTotals totals = fixture.totals();
  CHECK(totals.counts.begun == 0);
  CHECK(totals.counts.requests == 0);
  CHECK(totals.counts.refused == 1);
  CHECK(totals.counts.statuses[0] == 1);
  CHECK(totals.service_time.count() == 0);
}

}  // namespace prong::worker
