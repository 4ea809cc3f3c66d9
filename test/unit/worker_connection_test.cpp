// A connection over a socket pair: bytes to and fro, its timers, its end.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "forked.hpp"
#include "http_driver.hpp"
#include "os/epoll.hpp"
#include "os/socket.hpp"
#include "worker/connection.hpp"
#include "worker/connection_table.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kGetLarge = "GET /large HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kGetAndClose = "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

// Answers with a file that is shorter than it promises.
class ShortFile final : public http::Handler {
 public:
  [[nodiscard]] http::Answer handle(const http::Request& /*request*/) override {
    os::UniqueFd file{::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    test::write_all(file.get(), std::string(1'000, 'f'));
    return http::Response{
        .body =
            http::FileBody{.file = std::make_shared<const os::UniqueFd>(std::move(file)), .offset = 0, .size = 5'000}};
  }
};

// Answers with a part of a file of many different bytes, from the second one on.
class LongFile final : public http::Handler {
 public:
  explicit LongFile(std::size_t size) : content(size, '\0') {
    for (std::size_t i = 0; i < size; ++i) content[i] = static_cast<char>('a' + (i * i + i / 251) % 26);
    os::UniqueFd made{::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
    test::write_all(made.get(), content);
    file = std::make_shared<const os::UniqueFd>(std::move(made));
  }
  [[nodiscard]] http::Answer handle(const http::Request& /*request*/) override {
    return http::Response{.body = http::FileBody{.file = file, .offset = 1, .size = content.size() - 1}};
  }
  std::string content;
  std::shared_ptr<const os::UniqueFd> file;
};

// A peer that is known to be on this machine, so that files which are not large are copied.
Peer local_peer() {
  Peer peer;
  peer.address.storage.ss_family = AF_UNIX;
  peer.address.size = sizeof(sa_family_t);
  return peer;
}

// A connection and its client.
struct Pair {
  test::Echo echo;
  http::Limits limits;
  std::unique_ptr<ipc::WorkerBoard> board = std::make_unique<ipc::WorkerBoard>();
  os::TimePoint clock = os::now();
  Service service{.limits = &limits, .books = {.board = board.get(), .clock = &clock}};
  os::UniqueFd client;
  std::unique_ptr<Connection> connection;
  std::array<char, 4096> buffer{};
  std::array<char, 65536> file_buffer{};

  explicit Pair(http::Handler* handler = nullptr, const Peer& peer = {}) {
    auto ends = os::make_socket_pair(SOCK_STREAM);
    REQUIRE(ends.has_value());
    client = std::move(ends->second);
    constexpr int kSmall = 4096;  // so that an answer does not fit
    REQUIRE(os::set_option(ends->first.get(), SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF", kSmall));
    service.handler = handler != nullptr ? handler : &echo;
    service.file_buffer = file_buffer;
    connection = std::make_unique<Connection>(std::move(ends->first), 77, service, peer);
  }

  void send(std::string_view bytes) {
    test::write_all(client.get(), bytes);
    connection->on_readable(buffer);
  }
  // What has arrived at the client so far.
  [[nodiscard]] std::string receive() const {
    std::string text;
    std::array<char, 65536> part{};
    while (true) {
      const os::IoResult result = os::receive(client.get(), part);
      if (result.bytes == 0) return result.end ? text + "(end)" : text;
      text.append(part.data(), result.bytes);
    }
  }
};

Waiting after(Pair& pair, std::string_view bytes) {
  pair.send(bytes);
  return pair.connection->waiting();
}

}  // namespace

TEST_CASE("a request is answered, and the connection waits for the next one") {
  Pair pair;
  CHECK(pair.connection->waiting() == Waiting::kIdle);
  CHECK(after(pair, kGet) == Waiting::kIdle);
  const std::string answer = pair.receive();
  CHECK_THAT(answer, Catch::StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(answer, Catch::EndsWith("\r\n\r\nGET /a\n"));
  CHECK(after(pair, kGet) == Waiting::kIdle);
  CHECK_FALSE(pair.receive().empty());
  CHECK(pair.echo.seen.size() == 2);
}

TEST_CASE("requests are counted since the last question") {
  Pair pair;
  pair.send(std::string{kGet} + std::string{kGet});
  CHECK(pair.connection->take_answered() == 2);
  CHECK(pair.connection->take_answered() == 0);
}

TEST_CASE("a request that comes in pieces waits for the rest") {
  Pair pair;
  for (const char c : kGet.substr(0, kGet.size() - 1)) CHECK(after(pair, std::string(1, c)) == Waiting::kRequest);
  CHECK(pair.echo.seen.empty());
  CHECK(after(pair, "\n") == Waiting::kIdle);
  CHECK(pair.echo.seen.size() == 1);
}

TEST_CASE("an answer that the client takes slowly arrives whole and in order") {
  Pair pair;
  CHECK(after(pair, kGetLarge) == Waiting::kSending);
  std::string answer = pair.receive();
  CHECK(answer.size() < 100'000);
  int turns = 0;
  for (; pair.connection->waiting() == Waiting::kSending && turns < 1'000; ++turns) {
    pair.connection->on_writable();
    answer += pair.receive();
  }
  CHECK(turns > 1);
  CHECK(pair.connection->waiting() == Waiting::kIdle);
  CHECK_THAT(answer, Catch::EndsWith("\r\n\r\n" + std::string(100'000, 'x')));
  CHECK(after(pair, kGet) == Waiting::kIdle);
  CHECK_THAT(pair.receive(), Catch::EndsWith("GET /a\n"));
}

TEST_CASE("a request that arrived behind a large one is answered when that is gone") {
  Pair pair;
  pair.send(std::string{kGetLarge} + std::string{kGet});
  std::string answers = pair.receive();
  for (int turn = 0; pair.connection->waiting() == Waiting::kSending && turn < 1'000; ++turn) {
    pair.connection->on_writable();
    answers += pair.receive();
  }
  CHECK_THAT(answers, Catch::EndsWith("GET /a\n"));
  CHECK(pair.echo.seen.size() == 2);
}

TEST_CASE("a file arrives whole and in order, whether its pages are passed on or it is copied") {
  for (const std::size_t size : {2U, 5'000U, 65'537U, 300'000U}) {
    for (const Peer& peer : {Peer{}, local_peer()}) {
      CAPTURE(size, peer.address.family());
      LongFile file{size};
      Pair pair{&file, peer};
      pair.send(std::string{kGet} + std::string{kGet});
      std::string answers = pair.receive();
      for (int turn = 0; pair.connection->waiting() == Waiting::kSending && turn < 1'000; ++turn) {
        pair.connection->on_writable();
        answers += pair.receive();
      }
      const auto both = test::answers_in(answers);
      REQUIRE(both.size() == 2);
      CHECK(both[0].body == file.content.substr(1));
      CHECK(both[1].body == file.content.substr(1));
      CHECK(pair.connection->waiting() == Waiting::kIdle);
    }
  }
}

TEST_CASE("a short file whose head has not left yet ends the connection before it") {
  ShortFile short_file;
  Pair with{&short_file, local_peer()};
  CHECK(after(with, kGet) == Waiting::kNothing);
  with.connection.reset();
  CHECK(with.receive() == "(end)");
}

TEST_CASE("a file that is shorter than promised cuts the connection, so that the client can tell") {
  ShortFile short_file;
  Pair with{&short_file};
  CHECK(after(with, kGet) == Waiting::kNothing);
  const std::string answer = with.receive();
  CHECK_THAT(answer, Catch::Contains("Content-Length: 5000\r\n"));
  CHECK_THAT(answer, Catch::EndsWith("\r\n\r\n" + std::string(1'000, 'f')));
  with.connection.reset();
  CHECK(with.receive() == "(end)");
}

TEST_CASE("after its last answer a connection waits for the client to close, and drops what he still sends") {
  Pair pair;
  pair.connection->announce_close();
  CHECK(after(pair, kGet) == Waiting::kLingering);
  const std::string answer = pair.receive();
  CHECK_THAT(answer, Catch::Contains("Connection: close\r\n"));
  CHECK_THAT(answer, Catch::EndsWith("GET /a\n(end)"));
  CHECK(after(pair, kGet) == Waiting::kLingering);
  CHECK(pair.echo.seen.size() == 1);
  pair.client.reset();
  pair.connection->on_readable(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("a client that asked for the close itself is not waited for") {
  Pair pair;
  CHECK(after(pair, kGetAndClose) == Waiting::kNothing);
  CHECK_THAT(pair.receive(), Catch::EndsWith("GET /a\n"));
}

TEST_CASE("a client that has finished sending gets its answer and needs no lingering") {
  Pair pair;
  test::write_all(pair.client.get(), kGet);
  os::shut_down_sending(pair.client.get());
  pair.connection->on_readable(pair.buffer);
  if (pair.connection->waiting() != Waiting::kNothing) pair.connection->on_readable(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kNothing);
  CHECK_THAT(pair.receive(), Catch::Contains("GET /a\n"));
}

TEST_CASE("a client that closes between two requests ends the connection") {
  Pair pair;
  pair.send(kGet);
  (void)pair.receive();
  pair.client.reset();
  pair.connection->on_readable(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("a client that is gone while an answer is sent ends the connection without a signal") {
  Pair pair;
  CHECK(after(pair, kGetLarge) == Waiting::kSending);
  pair.client.reset();
  pair.connection->on_writable();
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("a reset ends the connection") {
  Pair pair;
  pair.send(kGet);
  pair.client.reset();  // with the answer unread: unix(7) sockets tell ECONNRESET then, as TCP does
  pair.connection->on_readable(pair.buffer);
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("an idle connection that is late is over without a word") {
  Pair pair;
  pair.connection->on_late();
  CHECK(pair.connection->waiting() == Waiting::kNothing);
  CHECK(pair.receive().empty());
}

TEST_CASE("a request that is late is answered with 408 and is the last one") {
  Pair pair;
  CHECK(after(pair, "GET /a HTT") == Waiting::kRequest);
  pair.connection->on_late();
  CHECK_THAT(pair.receive(), Catch::StartsWith("HTTP/1.1 408 "));
  CHECK(pair.connection->waiting() == Waiting::kLingering);
  pair.connection->on_late();
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("an answer that the client does not take in time is cut") {
  Pair pair;
  CHECK(after(pair, kGetLarge) == Waiting::kSending);
  pair.connection->on_late();
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("a client that takes enough of an answer has another round, one that takes less is cut") {
  Pair pair;
  pair.service.send_quota = 3'000;
  CHECK(after(pair, kGetLarge) == Waiting::kSending);
  pair.connection->begin_round();
  std::string taken(3'000, '\0');
  REQUIRE(os::receive(pair.client.get(), taken).bytes == 3'000);
  // What the kernel still holds for the client does not count, so the connection need not have sent anything new.
  pair.connection->on_writable();
  (void)pair.receive();
  pair.connection->on_late();
  CHECK(pair.connection->waiting() == Waiting::kSending);
  pair.connection->on_writable();
  pair.connection->begin_round();
  pair.connection->on_late();
  CHECK(pair.connection->waiting() == Waiting::kNothing);
}

TEST_CASE("a body that comes fast enough has another round, one that does not is 408") {
  Pair pair;
  pair.service.body_quota = 100;
  CHECK(after(pair, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n") == Waiting::kBody);
  pair.connection->begin_round();
  pair.send(std::string(100, 'x'));
  pair.connection->on_late();
  CHECK(pair.connection->waiting() == Waiting::kBody);
  pair.connection->begin_round();
  pair.send(std::string(99, 'x'));
  pair.connection->on_late();
  CHECK_THAT(pair.receive(), Catch::StartsWith("HTTP/1.1 408 "));
}

TEST_CASE("at a drain an idle connection stays for one more request, and tells the client") {
  Pair pair;
  pair.connection->announce_close();
  CHECK(pair.connection->waiting() == Waiting::kIdle);
  CHECK(after(pair, kGet) == Waiting::kLingering);
  CHECK_THAT(pair.receive(), Catch::Contains("Connection: close\r\n"));
}

TEST_CASE("a failure of the application is an answer to the client and a text for the log") {
  Pair pair;
  CHECK(after(pair, "GET /throw HTTP/1.1\r\nHost: h\r\n\r\n") != Waiting::kNothing);
  CHECK_THAT(pair.receive(), Catch::StartsWith("HTTP/1.1 500 "));
  CHECK(pair.connection->session().take_failure() == "thrown, in GET /throw");
  CHECK(pair.connection->session().take_failure().empty());
}

TEST_CASE("the epoll set is told what the connection waits for") {
  Pair pair;
  auto epoll = os::Epoll::create();
  REQUIRE(epoll.has_value());
  std::array<epoll_event, 4> events{};
  const auto told = [&] {
    pair.connection->update_interest(*epoll);
    const auto found = epoll->wait(events, 0ns);
    if (found->empty()) return 0U;
    CHECK((*found)[0].data.u64 == 77);
    return (*found)[0].events + 0U;
  };
  CHECK(told() == 0);
  test::write_all(pair.client.get(), kGetLarge);
  CHECK(told() == EPOLLIN);
  pair.connection->on_readable(pair.buffer);
  test::write_all(pair.client.get(), kGet);
  CHECK(told() == 0);  // the socket is full, and nothing is read before the answer is gone
  (void)pair.receive();
  CHECK(told() == EPOLLOUT);
  for (int turn = 0; pair.connection->waiting() == Waiting::kSending && turn < 1'000; ++turn) {
    pair.connection->on_writable();
    (void)pair.receive();
  }
  CHECK(told() == EPOLLIN);
}

TEST_CASE("a connection that cannot be watched is over") {
  const Pair pair;
  auto epoll = os::Epoll::create();
  REQUIRE(epoll.has_value());
  Connection of_a_file{os::UniqueFd{::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)}, 1, pair.service, Peer{}};
  of_a_file.update_interest(*epoll);  // EPERM: epoll_ctl(2)
  CHECK(of_a_file.waiting() == Waiting::kNothing);
}

TEST_CASE("connections are found by their key while they live") {
  test::Echo echo;
  const http::Limits limits;
  ipc::WorkerBoard board{};
  os::TimePoint clock = os::now();
  const Service service{.handler = &echo, .limits = &limits, .books = {.board = &board, .clock = &clock}};
  ConnectionTable table;
  auto ends = os::make_socket_pair(SOCK_STREAM);
  Connection& first = table.add(std::move(ends->first), service, {});
  Connection& second = table.add(std::move(ends->second), service, {});
  CHECK(table.size() == 2);
  CHECK(table.find(first.key()) == &first);
  CHECK(table.find(second.key()) == &second);
  CHECK(first.key() != second.key());
  // Small keys are those of listeners, signals and the channel.
  CHECK(first.key() >> 32U != 0);
  std::size_t seen = 0;
  table.for_each([&](const Connection&) { ++seen; });
  CHECK(seen == 2);
}

TEST_CASE("an event of a connection that is gone does not reach the one that got its number") {
  test::Echo echo;
  const http::Limits limits;
  ipc::WorkerBoard board{};
  os::TimePoint clock = os::now();
  const Service service{.handler = &echo, .limits = &limits, .books = {.board = &board, .clock = &clock}};
  ConnectionTable table;
  const os::UniqueFd origin{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  constexpr int kNumber = 200;
  const auto again = [&] { return os::UniqueFd{::dup3(origin.get(), kNumber, O_CLOEXEC)}; };
  const std::uint64_t stale = table.add(again(), service, {}).key();
  table.remove(*table.find(stale));
  CHECK(table.size() == 0);
  CHECK(::fcntl(kNumber, F_GETFD) < 0);  // removing it closes it
  CHECK(table.find(stale) == nullptr);
  Connection& next = table.add(again(), service, {});
  CHECK((next.key() & 0xFFFF'FFFFU) == (stale & 0xFFFF'FFFFU));
  CHECK(table.find(stale) == nullptr);
  CHECK(table.find(next.key()) == &next);
}

TEST_CASE("keys that never were are not found") {
  const ConnectionTable table;
  for (const std::uint64_t key : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32U, ~std::uint64_t{0}})
    CHECK(table.find(key) == nullptr);
}

}  // namespace prong::worker
