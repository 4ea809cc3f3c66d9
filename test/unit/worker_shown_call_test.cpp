// A handler whose calls the scoreboard shows is to its session what it was without.
#include <catch2/catch.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "worker/shown_call.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;
using State = http::BodySource::State;

// Lends one large part, gives one small, and says what its cell showed meanwhile.
class Lender final : public http::BodySource {
 public:
  explicit Lender(const ipc::ThreadCell& cell) : cell_(&cell) {}
  [[nodiscard]] http::SharedText lend() override {
    note();
    if (std::exchange(lent_, true)) return {};
    const auto text = std::make_shared<const std::string>(100'000, 'l');
    return {.owner = text, .text = *text};
  }
  [[nodiscard]] State read(std::string& into, std::size_t /*most*/) override {
    note();
    into += "end";
    return State::kEnd;
  }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return 100'003; }

 private:
  void note() const {
    const auto reading = cell_->read(os::TimePoint{2s});
    REQUIRE(reading.has_value());
    CHECK(reading->phase == ipc::ThreadPhase::kBody);
    CHECK(reading->target == "/large");
  }
  const ipc::ThreadCell* cell_;
  bool lent_ = false;
};

class Streamer final : public http::Handler {
 public:
  explicit Streamer(const ipc::ThreadCell& cell) : cell_(&cell) {}
  [[nodiscard]] http::Answer handle(const http::Request& /*request*/) override {
    return http::Response{.body = std::make_unique<Lender>(*cell_)};
  }

 private:
  const ipc::ThreadCell* cell_;
};

}  // namespace

TEST_CASE("a body that is shown lends what its source lends, is shown while it does, and is idle between") {
  ipc::ThreadCell cell{};
  const os::TimePoint clock{1s};
  ShownCalls calls(cell, clock);
  Streamer streamer(cell);
  ShownHandler handler(streamer, calls);
  http::Answer answer = handler.handle({.method = "GET", .target = "/large", .path = "/large"});
  auto& source = std::get<std::unique_ptr<http::BodySource>>(std::get<http::Response>(answer).body);
  CHECK(source->size() == 100'003);
  CHECK(source->lend().text.size() == 100'000);
  CHECK(source->lend().text.empty());
  std::string rest;
  CHECK(source->read(rest, 10) == State::kEnd);
  CHECK(rest == "end");
  CHECK(cell.read(os::TimePoint{2s})->phase == ipc::ThreadPhase::kIdle);
}

}  // namespace prong::worker
