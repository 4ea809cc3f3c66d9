// What a thread does, as its cell tells it: also to a reader who comes while it is written, and after anything at all
// was written.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <thread>

#include "ipc/thread_cell.hpp"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;

constexpr os::TimePoint kNow{100s};

PeerBytes v4_peer() {
  return {.family = PeerBytes::Family::kV4, .address = {192, 0, 2, 7}, .port = 4711};
}

std::uint64_t& word(ThreadCell& cell, std::size_t index) {
  return reinterpret_cast<std::uint64_t*>(&cell)[index];
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

}  // namespace

TEST_CASE("a new cell is that of an idle thread") {
  const ThreadCell cell{};
  const auto reading = cell.read(kNow);
  REQUIRE(reading.has_value());
  CHECK(reading->phase == ThreadPhase::kIdle);
  CHECK(reading->number == 0);
  CHECK(reading->work().empty());
  CHECK(reading->peer.empty());
}

TEST_CASE("a call is read as it was written, and is over when it ends") {
  ThreadCell cell{};
  cell.begin({.number = 7,
              .since = kNow - 3s,
              .deadline = kNow + 27s,
              .method = "GET",
              .target = "/checkout?a=1",
              .peer = v4_peer()});
  auto reading = cell.read(kNow);
  REQUIRE(reading.has_value());
  CHECK(reading->phase == ThreadPhase::kRequest);
  CHECK(reading->number == 7);
  CHECK(reading->since == kNow - 3s);
  CHECK(reading->deadline == kNow + 27s);
  CHECK(reading->method == "GET");
  CHECK(reading->target == "/checkout?a=1");
  CHECK(reading->work() == "GET /checkout?a=1");
  CHECK(reading->peer == "192.0.2.7:4711");
  cell.change(ThreadPhase::kBody);
  reading = cell.read(kNow);
  REQUIRE(reading.has_value());
  CHECK(reading->phase == ThreadPhase::kBody);
  CHECK(reading->work() == "GET /checkout?a=1");
  cell.end(kNow - 1s);
  reading = cell.read(kNow);
  REQUIRE(reading.has_value());
  CHECK(reading->phase == ThreadPhase::kIdle);
  CHECK(reading->number == 7);
  CHECK(reading->since == kNow - 1s);
  CHECK_FALSE(reading->deadline.has_value());
  CHECK(reading->target.empty());
}

TEST_CASE("a call of a stream has no request, and a peer may have any address") {
  ThreadCell cell{};
  PeerBytes peer{.family = PeerBytes::Family::kV6, .address = {0x20, 1, 0x0d, 0xb8}, .port = 9};
  peer.address[15] = 7;
  cell.begin({.phase = ThreadPhase::kStream, .since = kNow, .peer = peer});
  CHECK(cell.read(kNow)->work() == "an event of a stream");
  CHECK(cell.read(kNow)->peer == "[2001:db8::7]:9");
  peer.port = 0;
  cell.begin({.phase = ThreadPhase::kStream, .since = kNow, .peer = peer});
  CHECK(cell.read(kNow)->peer == "[2001:db8::7]");
}

TEST_CASE("what is too long is cut, and says so; a shorter call after it has nothing of it") {
  ThreadCell cell{};
  const std::string target = '/' + std::string(1'000, 'a');
  cell.begin({.since = kNow, .method = "GET", .target = target});
  CHECK(cell.read(kNow)->target == target.substr(0, ThreadCell::kMostText - 3) + "...");
  const std::string method(100, 'M');
  cell.begin({.since = kNow, .method = method, .target = target});
  CHECK(cell.read(kNow)->method == method.substr(0, ThreadCell::kMostMethod));
  CHECK(cell.read(kNow)->target.size() == ThreadCell::kMostText - ThreadCell::kMostMethod + 3);
  cell.begin({.since = kNow, .method = "GET", .target = "/b"});
  CHECK(cell.read(kNow)->work() == "GET /b");
  const std::string exact(ThreadCell::kMostText - 3, 'e');
  cell.begin({.since = kNow, .method = "GET", .target = exact});
  CHECK(cell.read(kNow)->target == exact);
}

TEST_CASE("bytes of a client are escaped") {
  ThreadCell cell{};
  cell.begin({.since = kNow, .method = "GET", .target = std::string_view("/\x1b[31m\n\0\\x\xff", 11)});
  CHECK(cell.read(kNow)->target == "/\\x1b[31m\\n\\x00\\\\x\\xff");
}

TEST_CASE("a call that began after the reader looked at its clock began now") {
  ThreadCell cell{};
  cell.begin({.since = kNow + 5s, .method = "GET", .target = "/"});
  CHECK(cell.read(kNow)->since == kNow);
}

TEST_CASE("a cell whose writer died in the middle is told from one that holds something") {
  ThreadCell cell{};
  cell.begin({.since = kNow, .method = "GET", .target = "/"});
  word(cell, 0) += 1;
  CHECK_FALSE(cell.read(kNow).has_value());
  word(cell, 0) += 1;
  CHECK(cell.read(kNow).has_value());
}

TEST_CASE("a reader beside a writer sees one call or the other, never something of both") {
  ThreadCell cell{};
  std::atomic<bool> done = false;
  std::thread writer([&] {
    const std::array targets{std::string(150, 'a'), std::string(150, 'b')};
    for (std::uint64_t i = 0; i < 200'000; ++i)
      cell.begin({.number = i, .since = kNow, .method = i % 2 == 0 ? "AA" : "BB", .target = targets.at(i % 2)});
    done = true;
  });
  std::uint64_t last = 0;
  bool whole = true;
  while (!done) {
    const auto reading = cell.read(kNow);
    if (!reading || reading->phase == ThreadPhase::kIdle) continue;
    const char letter = reading->number % 2 == 0 ? 'a' : 'b';
    whole = whole && reading->target == std::string(150, letter) && reading->number >= last &&
            reading->method == (letter == 'a' ? "AA" : "BB");
    last = reading->number;
  }
  writer.join();
  CHECK(whole);
  CHECK(cell.read(kNow)->number == 199'999);
}

TEST_CASE("any bytes at all are read as nothing, or as something that is bounded and safe to print") {
  std::mt19937_64 random(4711);  // NOLINT(cert-msc51-cpp): the same each time
  std::size_t understood = 0;
  for (int round = 0; round < 50'000; ++round) {
    ThreadCell cell{};
    constexpr std::size_t kWords = sizeof(ThreadCell) / sizeof(std::uint64_t);
    for (std::size_t i = 0; i < kWords; ++i) word(cell, i) = random();
    // What would be refused at once in nearly every round is made good in most of them, so that the rest is reached.
    if (round % 4 != 0) {
      word(cell, 0) &= ~std::uint64_t{1};
      word(cell, 1) &= 0x0001'3F1F'FFFF'0103;  // cut, sizes, port, family, phase
      word(cell, 2) >>= 1U;
      word(cell, 3) >>= 1U;
    }
    const auto reading = cell.read(kNow);
    if (!reading) continue;
    ++understood;
    CHECK(reading->since <= kNow);
    CHECK(reading->since.time_since_epoch() >= 0ns);
    const std::string text = reading->work() + reading->peer;
    CHECK(text.size() <= 4 * ThreadCell::kMostText + 100);
    CHECK(is_printable(text));
  }
  CHECK(understood > 1'000);
}

}  // namespace prong::ipc
