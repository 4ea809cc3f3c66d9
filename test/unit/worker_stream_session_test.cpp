// A stream's conversation: on the thread that reads and sends, and with application threads.
#include <catch2/catch.hpp>
#include <poll.h>
#include <sys/epoll.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "app/echo.hpp"
#include "app/stream.hpp"
#include "os/socket.hpp"
#include "output_driver.hpp"
#include "worker/application_threads.hpp"
#include "worker/connection.hpp"
#include "worker/stream_session.hpp"

namespace prong::worker {
namespace {

using app::StreamReply;
using net::Phase;

constexpr std::size_t kBuffer = 1'000;
constexpr std::uint64_t kKey = std::uint64_t{7} << 32U;

// What a test's application does, and what it was told.
struct Script {
  std::function<void(StreamReply&)> open = [](StreamReply& /*reply*/) {};
  std::function<void(std::string_view, StreamReply&)> receive = [](std::string_view bytes, StreamReply& reply) {
    reply.send(bytes);
  };
  std::function<void(StreamReply&)> receive_end = [](StreamReply& reply) { reply.close(); };
  std::function<void(StreamReply&)> send_more = [](StreamReply& /*reply*/) {};
  std::vector<std::string> told = {};  // read when no thread is at it
  std::uint64_t connection = 0;
  std::atomic<int> closed = 0;
  std::atomic<std::thread::id> closed_on = {};
};

class ScriptedStream final : public app::Stream {
 public:
  explicit ScriptedStream(Script& script) : script_(&script) {}
  ScriptedStream(const ScriptedStream&) = delete;
  ScriptedStream& operator=(const ScriptedStream&) = delete;
  ScriptedStream(ScriptedStream&&) = delete;
  ScriptedStream& operator=(ScriptedStream&&) = delete;
  ~ScriptedStream() override {
    script_->closed_on = std::this_thread::get_id();
    ++script_->closed;
  }
  void receive(std::string_view bytes, StreamReply& reply) override {
    script_->told.emplace_back(bytes);
    script_->receive(bytes, reply);
  }
  void receive_end(StreamReply& reply) override {
    script_->told.emplace_back("(end)");
    script_->receive_end(reply);
  }
  void send_more(StreamReply& reply) override {
    script_->told.emplace_back("(more)");
    script_->send_more(reply);
  }

 private:
  Script* script_;
};

class ScriptedHandler final : public app::StreamHandler {
 public:
  explicit ScriptedHandler(Script& script) : script_(&script) {}
  [[nodiscard]] std::unique_ptr<app::Stream> open(const app::StreamPeer& peer, StreamReply& reply) override {
    script_->connection = peer.connection;
    script_->told.emplace_back("(open)");
    script_->open(reply);
    return std::make_unique<ScriptedStream>(*script_);
  }

 private:
  Script* script_;
};

using Told = std::vector<std::string>;

std::span<const char> bytes_of(std::string_view text) {
  return {text.data(), text.size()};
}

// Everything that it has to say now, taken at once.
std::string drain(StreamSession& session) {
  std::string all;
  do {
    all += test::take(session.output(), std::string::npos);
    session.resume();
  } while (!session.output().empty());
  return all;
}

// A session on this thread.
struct Here {
  Script script;
  ScriptedHandler handler{script};
  std::optional<StreamSession> session = std::nullopt;

  Here() {
    session.emplace(StreamSession::Context{.handler = &handler, .buffer = kBuffer, .peer = {.connection = kKey}});
  }
  std::string say(std::string_view bytes) {
    session->receive(bytes_of(bytes));
    return drain(*session);
  }
};

// Application threads with that script, running.
struct There {
  Script script;
  std::unique_ptr<ApplicationThreads> threads = {};
  std::vector<std::thread> running = {};
  std::optional<StreamSession> session = std::nullopt;

  explicit There(std::size_t number = 2) {
    auto made = ApplicationThreads::create(std::make_unique<ScriptedHandler>(script), number);
    REQUIRE(made.has_value());
    threads = std::move(*made);
    for (std::size_t i = 0; i < number; ++i) running.emplace_back([this, i] { threads->run(i); });
    session.emplace(StreamSession::Context{.threads = threads.get(), .buffer = kBuffer, .peer = {.connection = kKey}});
  }
  There(const There&) = delete;
  There& operator=(const There&) = delete;
  There(There&&) = delete;
  There& operator=(There&&) = delete;
  ~There() {
    session.reset();
    threads->submit();
    threads->finish();
    for (std::thread& thread : running) thread.join();
  }
  [[nodiscard]] std::vector<ApplicationThreads::News> wait() const {
    threads->submit();
    constexpr int kLimitMs = 20'000;
    pollfd ready{.fd = threads->fd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&ready, 1, kLimitMs) == 1);
    return threads->take_news();
  }
  // Waits for what the application makes of what it has; everything that the session says then.
  std::string settle() {
    std::string all;
    while (session->is_with_application()) {
      for (ApplicationThreads::News& news : wait()) {
        REQUIRE(news.outcome.has_value());
        CHECK(news.is_last);
        if (news.connection == kKey) session->finish_event(std::move(*news.outcome));
      }
      all += drain(*session);
    }
    return all;
  }
  std::string say(std::string_view bytes) {
    session->receive(bytes_of(bytes));
    return settle();
  }
};

}  // namespace

TEMPLATE_TEST_CASE("a stream is opened once, and gets every byte in order", "", Here, There) {
  TestType fixture;
  std::string echoed;
  std::string sent;
  for (int i = 0; i < 100; ++i) {
    const std::string piece(static_cast<std::size_t>(i % 7 + 1), static_cast<char>('a' + i % 26));
    sent += piece;
    echoed += fixture.say(piece);
    CHECK(fixture.session->phase() == Phase::kIdle);
  }
  CHECK(echoed == sent);
  CHECK(fixture.script.told.size() == 101);
  CHECK(fixture.script.told.front() == "(open)");
  CHECK(fixture.script.connection == kKey);
  CHECK(fixture.session->requests() == 100);
}

TEST_CASE("an application may speak first") {
  Here here;
  here.script.open = [](StreamReply& reply) { reply.send("220 hello\r\n"); };
  CHECK(drain(*here.session) == "220 hello\r\n");
  CHECK(here.script.told == Told{"(open)"});
  CHECK(here.say("x") == "x");
}

TEST_CASE("an application may end the connection with its first word") {
  Here here;
  here.script.open = [](StreamReply& reply) {
    reply.send("not now");
    reply.close();
  };
  CHECK(here.say("ignored") == "not now");
  CHECK(here.script.told == Told{"(open)"});
  CHECK(here.session->finished());
  CHECK(here.session->lingering());
  CHECK(here.session->phase() == Phase::kClosed);
  CHECK(here.say("more").empty());
  CHECK(here.script.told.size() == 1);
}

TEST_CASE("nothing is read while much waits for the client") {
  Here here;
  here.session->receive(bytes_of(std::string(kBuffer - 1, 'x')));
  CHECK(here.session->wants_read());
  CHECK(here.session->phase() == Phase::kSending);
  here.session->receive(bytes_of("y"));
  CHECK_FALSE(here.session->wants_read());
  CHECK(test::take(here.session->output(), 1) == "x");
  CHECK(here.session->wants_read());
  CHECK(drain(*here.session) == std::string(kBuffer - 2, 'x') + "y");
  CHECK(here.session->phase() == Phase::kIdle);
}

TEMPLATE_TEST_CASE("a half-closed client gets everything, then the connection ends", "", Here, There) {
  TestType fixture;
  CHECK(fixture.say("abc") == "abc");
  fixture.session->receive_end();
  if constexpr (std::is_same_v<TestType, There>) CHECK(fixture.settle().empty());
  CHECK(fixture.script.told == Told{"(open)", "abc", "(end)"});
  CHECK(fixture.session->finished());
  CHECK_FALSE(fixture.session->lingering());
}

TEST_CASE("an application may go on sending after the client's end") {
  Here here;
  int left = 3;
  here.script.receive_end = [](StreamReply& reply) { reply.wants_to_send_more(); };
  here.script.send_more = [&left](StreamReply& reply) {
    reply.send("part ");
    if (--left > 0)
      reply.wants_to_send_more();
    else
      reply.close();
  };
  here.session->receive_end();
  CHECK_FALSE(here.session->finished());
  CHECK_FALSE(here.session->wants_read());
  CHECK(drain(*here.session) == "part part part ");
  CHECK(here.session->finished());
}

TEMPLATE_TEST_CASE("what an application has more to say is asked for when there is room", "", Here, There) {
  TestType fixture;
  std::size_t left = 10'000;
  std::size_t most = 0;
  bool room_is_kept = true;  // Catch2 is for one thread
  fixture.script.receive = [](std::string_view /*bytes*/, StreamReply& reply) { reply.wants_to_send_more(); };
  fixture.script.send_more = [&](StreamReply& reply) {
    const std::size_t size = std::min(left, reply.room());
    reply.send(std::string(size, 'm'));
    room_is_kept = room_is_kept && (reply.room() == 0 || left == size);
    left -= size;
    most = std::max(most, size);
    if (left > 0) reply.wants_to_send_more();
  };
  CHECK(fixture.say("go").size() == 10'000);
  CHECK(most == kBuffer);
  CHECK(room_is_kept);
  CHECK(fixture.session->phase() == Phase::kIdle);
  CHECK_FALSE(fixture.session->broken());
}

TEMPLATE_TEST_CASE("an application that wants to send more and sends nothing is cut off", "", Here, There) {
  TestType fixture;
  fixture.script.receive = [](std::string_view /*bytes*/, StreamReply& reply) { reply.wants_to_send_more(); };
  fixture.script.send_more = [](StreamReply& reply) { reply.wants_to_send_more(); };
  CHECK(fixture.say("go").empty());
  CHECK(fixture.session->broken());
  CHECK(fixture.session->take_failure() == "a stream wanted to send more, and sent nothing");
}

TEMPLATE_TEST_CASE("an exception of the application breaks the connection off and is told", "", Here, There) {
  TestType fixture;
  fixture.script.receive = [](std::string_view bytes, StreamReply& reply) {
    reply.send("half an ans");
    if (bytes == "number") throw 7;
    throw std::runtime_error("thrown");
  };
  const bool is_number = GENERATE(false, true);
  fixture.session->receive(bytes_of(is_number ? "number" : "text"));
  if constexpr (std::is_same_v<TestType, There>) (void)fixture.settle();
  CHECK(fixture.session->broken());
  CHECK(fixture.session->finished());
  CHECK(fixture.session->take_failure() == (is_number ? "an exception that is no std::exception" : "thrown"));
}

TEST_CASE("a stream is destroyed with its connection") {
  Here here;
  CHECK(here.say("x") == "x");
  CHECK(here.script.closed == 0);
  here.session.reset();
  CHECK(here.script.closed == 1);
}

TEST_CASE("a connection that was never heard of has no stream") {
  Here here;
  here.session.reset();
  CHECK(here.script.told.empty());
  CHECK(here.script.closed == 0);
}

TEST_CASE("while a thread has an event of a stream, nothing more is read of it") {
  There there;
  std::latch go{1};
  there.script.receive = [&go](std::string_view bytes, StreamReply& reply) {
    go.wait();
    reply.send(bytes);
  };
  there.session->receive(bytes_of("one"));
  there.threads->submit();
  CHECK(there.session->is_with_application());
  CHECK(there.session->phase() == Phase::kHandling);
  CHECK_FALSE(there.session->wants_read());
  CHECK_FALSE(there.session->finished());
  there.session->resume();  // nothing
  go.count_down();
  CHECK(there.settle() == "one");
  CHECK(there.session->wants_read());
}

TEST_CASE("an idle stream whose connection ends is destroyed on an application thread") {
  There there;
  CHECK(there.say("x") == "x");
  there.session.reset();
  const auto news = there.wait();
  REQUIRE(news.size() == 1);
  CHECK(there.script.closed == 1);
  CHECK(there.script.closed_on.load() != std::this_thread::get_id());
}

TEST_CASE("a stream whose connection ends while a thread is at it comes back to be closed") {
  There there;
  std::latch begun{1};
  std::latch go{1};
  there.script.receive = [&](std::string_view /*bytes*/, StreamReply& /*reply*/) {
    begun.count_down();
    go.wait();
  };
  there.session->receive(bytes_of("x"));
  there.threads->submit();
  begun.wait();
  there.session.reset();
  CHECK(there.threads->cancel(kKey) == ApplicationThreads::Cancelled::kRunning);
  go.count_down();
  auto news = there.wait();
  REQUIRE(news.size() == 1);
  CHECK(there.script.closed == 0);
  REQUIRE(news.front().outcome->stream != nullptr);
  there.threads->close(std::move(news.front().outcome->stream));
  CHECK(there.wait().size() == 1);
  CHECK(there.script.closed == 1);
  CHECK(there.script.closed_on.load() != std::this_thread::get_id());
  CHECK(there.threads->busy() == 0);
}

TEST_CASE("an event that no thread has begun with is left out when its connection ends, and the stream closed") {
  There there(1);
  std::latch go{1};
  std::latch begun{1};
  there.script.receive = [&](std::string_view bytes, StreamReply& reply) {
    if (bytes != "first") return reply.send(bytes);
    begun.count_down();
    go.wait();
  };
  CHECK(there.say("known") == "known");
  StreamSession other(
      StreamSession::Context{.threads = there.threads.get(), .buffer = kBuffer, .peer = {.connection = kKey}});
  other.receive(bytes_of("first"));
  there.threads->submit();
  begun.wait();
  there.session->receive(bytes_of("second"));
  there.session.reset();
  // The one that waits has the same key here; what runs is not looked at before it.
  CHECK(there.threads->cancel(kKey) == ApplicationThreads::Cancelled::kWaiting);
  go.count_down();
  while (there.threads->busy() > 0)
    for (ApplicationThreads::News& news : there.wait())
      if (news.connection == kKey) other.finish_event(std::move(*news.outcome));
  CHECK(there.script.told == Told{"(open)", "known", "(open)", "first"});
  CHECK(there.script.closed == 1);
}

// ---- over a socket

namespace {

// A connection of a pool of streams, and its client.
struct Pair {
  http::Limits limits;
  std::unique_ptr<ipc::WorkerBoard> board = std::make_unique<ipc::WorkerBoard>();
  os::TimePoint clock = os::now();
  Service service{.limits = &limits, .books = {.board = board.get(), .clock = &clock}};
  os::UniqueFd client;
  std::unique_ptr<Connection> connection;
  std::array<char, 4096> buffer{};

  Pair(app::StreamHandler* here, ApplicationThreads* there) {
    service.streams = here;
    service.stream_threads = there;
    service.stream_buffer = kBuffer;
    auto ends = os::make_socket_pair(SOCK_STREAM);
    REQUIRE(ends.has_value());
    client = std::move(ends->second);
    connection = std::make_unique<Connection>(std::move(ends->first), kKey, service, Peer{});
  }
  [[nodiscard]] std::string receive() const {
    std::string text;
    std::array<char, 65536> part{};
    while (true) {
      const os::IoResult result = os::receive(client.get(), part);
      if (result.bytes == 0) return result.end ? text + "(end)" : text;
      text.append(part.data(), result.bytes);
    }
  }
  void send(std::string_view bytes) const {
    const iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
    REQUIRE(os::send(client.get(), std::span(&part, 1), os::More::kNo).bytes == bytes.size());
  }
};

}  // namespace

TEST_CASE("a connection of a stream begins with what has arrived, or with the application's first word") {
  Script script;
  ScriptedHandler handler(script);
  script.open = [](StreamReply& reply) { reply.send("hello "); };
  const bool spoke_first = GENERATE(false, true);
  Pair pair(&handler, nullptr);
  if (spoke_first) pair.send("client");
  pair.connection->begin(pair.buffer);
  CHECK(pair.receive() == (spoke_first ? "hello client" : "hello "));
  CHECK(pair.connection->waiting() == Waiting::kIdle);
}

TEST_CASE("a stream ends with its client, half-closed or gone") {
  app::Echo echo;
  Pair pair(&echo, nullptr);
  pair.connection->begin(pair.buffer);
  pair.send("all of it");
  os::shut_down_sending(pair.client.get());
  pair.connection->on_readable(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kIdle);
  pair.connection->on_readable(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kNothing);
  pair.connection.reset();
  CHECK(pair.receive() == "all of it(end)");
}

TEST_CASE("an idle stream that moves when its time is over goes on, and another one ends") {
  app::Echo echo;
  Pair pair(&echo, nullptr);
  pair.connection->begin(pair.buffer);
  pair.send("just in time");
  pair.connection->on_idle_late(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kIdle);
  CHECK(pair.receive() == "just in time");
  pair.connection->on_idle_late(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("what a client has sent before it went is still read when the application is free for it") {
  There there(1);
  there.session.reset();
  std::latch go{1};
  std::string all;
  there.script.receive = [&](std::string_view bytes, StreamReply& /*reply*/) {
    go.wait();
    all += bytes;
  };
  Pair pair(nullptr, there.threads.get());
  auto epoll = os::Epoll::create();
  REQUIRE(epoll.has_value());
  pair.connection->begin(pair.buffer);
  pair.connection->update_interest(*epoll);
  const auto news = [&] {
    for (ApplicationThreads::News& each : there.wait())
      if (each.connection == kKey) pair.connection->on_outcome(std::move(*each.outcome));
    pair.connection->update_interest(*epoll);
  };
  news();  // opened
  const std::string sent(10'000, 's');
  pair.send(sent);
  pair.connection->on_readable(pair.buffer);
  pair.client.reset();
  pair.connection->on_hangup(EPOLLHUP);
  pair.connection->update_interest(*epoll);
  CHECK(pair.connection->waiting() == Waiting::kHandling);
  // The hang-up is not told again while nobody can do anything about it.
  std::array<epoll_event, 1> events{};
  CHECK(epoll->wait(events, std::chrono::nanoseconds::zero())->empty());
  go.count_down();
  while (pair.connection->waiting() != Waiting::kNothing) {
    if (pair.connection->waiting() == Waiting::kHandling) {
      news();
    } else {
      CHECK(epoll->wait(events, std::chrono::nanoseconds::zero())->size() == 1);
      pair.connection->on_readable(pair.buffer);
      pair.connection->update_interest(*epoll);
    }
  }
  CHECK(all == sent);
}

}  // namespace prong::worker
