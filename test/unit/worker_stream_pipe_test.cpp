// The pipe between an application thread that talks with one client and the I/O thread.
#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <future>
#include <optional>
#include <semaphore>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "net/output.hpp"
#include "worker/stream_pipe.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;
using Received = StreamPipe::Received;
using AtDrain = StreamPipe::AtDrain;

// A pipe, and who is told that something changed.
struct Fixture {
  explicit Fixture(std::size_t buffer = 8) : pipe(buffer, {}) {
    pipe.begin([this] { told.release(); });
  }
  // Until the thread has told, and then waits.
  void await_waiting() {
    while (!pipe.look().waits) told.acquire();
  }
  std::future<std::pair<Received, std::string>> read(std::optional<std::chrono::nanoseconds> timeout = {},
                                                     AtDrain at_drain = AtDrain::kGoOn) {
    return std::async(std::launch::async, [this, timeout, at_drain] {
      std::array<char, 4> buffer{};
      std::size_t size = 0;
      const Received received = pipe.read(buffer, size, timeout, at_drain);
      return std::pair(received, std::string(buffer.data(), size));
    });
  }
  std::counting_semaphore<> told{0};
  StreamPipe pipe;
};

std::span<const char> bytes(std::string_view text) {
  return {text.data(), text.size()};
}

std::string taken(StreamPipe& pipe) {
  net::Output output;
  pipe.take(output);
  return output.empty() ? std::string() : std::string(output.memory());
}

TEST_CASE("what the client has sent is read in pieces, then its end", "[pipe]") {
  Fixture fixture;
  fixture.pipe.push(bytes("abcdef"));
  fixture.pipe.push_end();
  CHECK(fixture.read().get() == std::pair(Received::kData, std::string("abcd")));
  CHECK(fixture.read().get() == std::pair(Received::kData, std::string("ef")));
  CHECK(fixture.read().get().first == Received::kEnd);
  CHECK(fixture.read().get().first == Received::kEnd);
}

TEST_CASE("a thread that reads waits until bytes come, and counts as working from then on", "[pipe]") {
  Fixture fixture;
  CHECK(!fixture.pipe.look().waits);
  auto read = fixture.read();
  fixture.await_waiting();
  fixture.pipe.push(bytes("x"));
  CHECK(!fixture.pipe.look().waits);  // although the thread may not run yet
  CHECK(read.get() == std::pair(Received::kData, std::string("x")));
}

TEST_CASE("a read ends by its time, by a drain if it wants that, and when the client is gone", "[pipe]") {
  Fixture fixture;
  CHECK(fixture.read(1ms).get().first == Received::kTimeout);
  CHECK(!fixture.pipe.look().waits);
  auto patient = fixture.read();
  fixture.await_waiting();
  fixture.pipe.drain();
  CHECK(fixture.pipe.look().waits);  // it goes on
  fixture.pipe.push(bytes("y"));
  CHECK(patient.get().first == Received::kData);
  CHECK(fixture.read({}, AtDrain::kReturn).get().first == Received::kDraining);
  fixture.pipe.push(bytes("z"));
  CHECK(fixture.read({}, AtDrain::kReturn).get().second == "z");  // what has come goes first
  auto last = fixture.read();
  fixture.await_waiting();
  fixture.pipe.abandon();
  CHECK(last.get().first == Received::kGone);
  CHECK(!fixture.pipe.write("nobody"));
}

TEST_CASE("a drain wakes a thread that reads until then", "[pipe]") {
  Fixture fixture;
  auto read = fixture.read({}, AtDrain::kReturn);
  fixture.await_waiting();
  fixture.pipe.drain();
  CHECK(read.get().first == Received::kDraining);
}

TEST_CASE("a thread that writes more than may wait goes on when the client takes it", "[pipe]") {
  Fixture fixture(4);
  auto written = std::async(std::launch::async, [&] { return fixture.pipe.write("0123456789"); });
  std::string all;
  while (all.size() < 10) {
    fixture.told.acquire();
    all += taken(fixture.pipe);
  }
  CHECK(written.get());
  CHECK(all == "0123456789");
}

TEST_CASE("a thread that writes to a client who has gone is let go", "[pipe]") {
  Fixture fixture(4);
  auto written = std::async(std::launch::async, [&] { return fixture.pipe.write("0123456789"); });
  fixture.await_waiting();
  fixture.pipe.abandon();
  CHECK(!written.get());
}

TEST_CASE("input has room up to the buffer, and the I/O thread is told when a full one is read", "[pipe]") {
  Fixture fixture(4);
  CHECK(fixture.pipe.look().takes_input);
  fixture.pipe.push(bytes("abcdef"));
  CHECK(!fixture.pipe.look().takes_input);
  CHECK(fixture.read().get().second == "abcd");
  CHECK(fixture.told.try_acquire());
  CHECK(fixture.pipe.look().takes_input);
}

TEST_CASE("a conversation that is over counts so when all of it was taken, or at once when it was cut", "[pipe]") {
  Fixture fixture;
  CHECK(fixture.pipe.write("bye"));
  fixture.pipe.finish();
  CHECK(!fixture.pipe.look().finished);
  CHECK(taken(fixture.pipe) == "bye");
  CHECK(fixture.pipe.look().finished);
  Fixture other;
  CHECK(other.pipe.write("bye"));
  other.pipe.cut();
  CHECK(!other.pipe.look().cut);  // the application still runs
  other.pipe.finish();
  CHECK(other.pipe.look().cut);
}

}  // namespace
}  // namespace prong::worker
