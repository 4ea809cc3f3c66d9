// Accepting from listeners that are shared with siblings.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <set>
#include <vector>

#include "ipc/inheritance.hpp"
#include "net/address.hpp"
#include "os/clock.hpp"
#include "os/epoll.hpp"
#include "os/socket.hpp"
#include "worker/acceptor.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kFirstKey = 2;

// Listeners on the loopback, as the master has them.
class Listeners {
 public:
  explicit Listeners(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      auto socket = os::make_socket(AF_INET, SOCK_STREAM);
      REQUIRE(os::bind_socket(socket->get(), net::parse_address("127.0.0.1:0")->socket));
      REQUIRE(os::listen_on(socket->get(), 64));
      sockets_.push_back(std::move(*socket));
    }
  }
  // What a worker inherits: copies, as after a fork. Number 0, 1, 2...
  [[nodiscard]] std::vector<ipc::InheritedListener> inherited() const {
    std::vector<ipc::InheritedListener> listeners;
    listeners.reserve(sockets_.size());
    for (std::size_t i = 0; i < sockets_.size(); ++i)
      listeners.push_back({.fd = ::fcntl(sockets_[i].get(), F_DUPFD_CLOEXEC, 0),
                           .number = static_cast<std::uint32_t>(i),
                           .address = {}});
    return listeners;
  }
  [[nodiscard]] os::UniqueFd connect(std::size_t listener = 0) const {
    os::UniqueFd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const auto address = os::local_address(sockets_.at(listener).get());
    REQUIRE(::connect(client.get(), address->get(), address->size) == 0);
    return client;
  }
  [[nodiscard]] std::vector<os::UniqueFd> connect_many(std::size_t count) const {
    std::vector<os::UniqueFd> clients(count);
    for (os::UniqueFd& client : clients) client = connect();
    return clients;
  }
  void close() { sockets_.clear(); }
  [[nodiscard]] os::SocketAddress address(std::size_t listener) const {
    return *os::local_address(sockets_.at(listener).get());
  }

 private:
  std::vector<os::UniqueFd> sockets_;
};

std::multiset<std::uint64_t> keys_told(os::Epoll& epoll) {
  std::array<epoll_event, 8> buffer{};
  std::multiset<std::uint64_t> keys;
  const auto events = epoll.wait(buffer, 0ns);
  for (const epoll_event& event : *events) keys.insert(event.data.u64);
  return keys;
}

// Closes the acceptor; the connections that it hands over, of which no more than `most` are wanted.
std::vector<os::UniqueFd> close_and_take(Acceptor& acceptor, std::uint64_t serve_backlog, std::size_t most) {
  std::vector<os::UniqueFd> taken;
  acceptor.close(serve_backlog, [&](os::Accepted accepted, std::uint64_t /*key*/) {
    if (!accepted.fd.valid()) return false;
    taken.push_back(std::move(accepted.fd));
    return taken.size() < most;
  });
  return taken;
}

using Keys = std::multiset<std::uint64_t>;

os::Epoll make_epoll() {
  auto epoll = os::Epoll::create();
  REQUIRE(epoll.has_value());
  return std::move(*epoll);
}

}  // namespace

TEST_CASE("nothing is told before the acceptor is resumed, and then each listener by its key") {
  const Listeners listeners{3};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  const os::UniqueFd first = listeners.connect(0);
  const os::UniqueFd third = listeners.connect(2);
  CHECK(keys_told(epoll).empty());
  acceptor.resume();
  CHECK(keys_told(epoll) == Keys{kFirstKey, kFirstKey + 2});
  acceptor.resume();  // a second time does nothing
  CHECK(keys_told(epoll) == Keys{kFirstKey, kFirstKey + 2});
}

TEST_CASE("the keys of listeners are known, others are not") {
  const Listeners listeners{2};
  os::Epoll epoll = make_epoll();
  const Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  CHECK_FALSE(acceptor.owns(kFirstKey - 1));
  CHECK(acceptor.owns(kFirstKey));
  CHECK(acceptor.owns(kFirstKey + 1));
  CHECK_FALSE(acceptor.owns(kFirstKey + 2));
  CHECK_FALSE(acceptor.owns(~std::uint64_t{0}));
}

TEST_CASE("one connection is taken at a time, and the listener goes back into the queue") {
  const Listeners listeners{1};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  acceptor.resume();
  std::vector<os::UniqueFd> clients = listeners.connect_many(3);
  for (int i = 0; i < 3; ++i) {
    CHECK(keys_told(epoll) == Keys{kFirstKey});
    const os::Accepted accepted = acceptor.accept_one(kFirstKey);
    REQUIRE(accepted.fd.valid());
    CHECK((::fcntl(accepted.fd.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(accepted.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(keys_told(epoll).empty());
  CHECK(acceptor.accept_one(kFirstKey).error == EAGAIN);
  clients.push_back(listeners.connect());
  CHECK(keys_told(epoll) == Keys{kFirstKey});
}

TEST_CASE("a worker that keeps a connection is behind its siblings for the next, after a few that ended too") {
  const auto kept = GENERATE(Acceptor::Kept::kYes, Acceptor::Kept::kNo);
  // Two epoll sets whose wait queues stand on one listener, as those of two workers. The kernel tells the first of the
  // queue; that is visible through an epoll set on top of both, which is told in the order of the queue.
  const Listeners listeners{1};
  os::Epoll epoll_a = make_epoll();
  os::Epoll epoll_b = make_epoll();
  Acceptor a{epoll_a, listeners.inherited(), kFirstKey};
  Acceptor b{epoll_b, listeners.inherited(), kFirstKey};
  a.resume();
  b.resume();
  os::Epoll both = make_epoll();
  REQUIRE(both.add(epoll_a.fd(), EPOLLIN, 'a'));
  REQUIRE(both.add(epoll_b.fd(), EPOLLIN, 'b'));
  const auto whom = [&] {
    std::array<epoll_event, 2> buffer{};
    const auto events = both.wait(buffer, 0ns);
    return events->empty() ? '-' : static_cast<char>((*events)[0].data.u64);
  };
  std::string order;
  for (int i = 0; i < 36; ++i) {
    const os::UniqueFd client = listeners.connect();
    const char first = whom();
    order += first;
    Acceptor& accepting = first == 'a' ? a : b;
    CHECK(accepting.accept_one(kFirstKey).fd.valid());
    accepting.then_wait(kFirstKey, kept);
    (void)whom();  // what the other was told has been taken by now
  }
  if (kept == Acceptor::Kept::kYes)
    CHECK((order == "abababababababababababababababababab" || order == "babababababababababababababababababa"));
  else
    CHECK((order == std::string(16, 'a') + std::string(16, 'b') + "aaaa" ||
           order == std::string(16, 'b') + std::string(16, 'a') + "bbbb"));
}

TEST_CASE("a paused acceptor leaves connections to its siblings") {
  const Listeners listeners{2};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  acceptor.resume();
  acceptor.pause();
  const os::UniqueFd client = listeners.connect();
  CHECK(keys_told(epoll).empty());
  acceptor.pause();  // a second time does nothing
  acceptor.resume();
  CHECK(keys_told(epoll) == Keys{kFirstKey});
}

TEST_CASE("a pause with an end is over when its time has come") {
  const Listeners listeners{1};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  acceptor.resume();
  CHECK_FALSE(acceptor.next_deadline().has_value());
  const os::TimePoint until = os::now();
  acceptor.pause_until(until);
  CHECK(acceptor.next_deadline() == until);
  const os::UniqueFd client = listeners.connect();
  acceptor.resume_if_due(until - 1ns);
  CHECK(keys_told(epoll).empty());
  acceptor.resume_if_due(until);
  CHECK(keys_told(epoll) == Keys{kFirstKey});
  CHECK_FALSE(acceptor.next_deadline().has_value());
}

TEST_CASE("running out of descriptors is told as such, and the connection stays in the queue") {
  const Listeners listeners{1};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  acceptor.resume();
  const os::UniqueFd client = listeners.connect();
  std::vector<os::UniqueFd> hoard;
  while (true) {
    os::UniqueFd fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (!fd.valid() || hoard.size() > 200'000) break;
    hoard.push_back(std::move(fd));
  }
  const int error = acceptor.accept_one(kFirstKey).error;
  const bool exhausted = hoard.size() <= 200'000;
  hoard.clear();
  if (!exhausted) {
    WARN("the limit of descriptors is too high to reach");
    return;
  }
  CHECK(error == EMFILE);
  CHECK(acceptor.accept_one(kFirstKey).fd.valid());
}

TEST_CASE("closing hands over what waits on the listeners that nobody else serves, and no others") {
  const Listeners listeners{3};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  acceptor.resume();
  std::vector<os::UniqueFd> clients;
  for (const std::size_t listener : {0U, 0U, 1U, 2U, 2U, 2U}) clients.push_back(listeners.connect(listener));
  CHECK(close_and_take(acceptor, 0b101, 100).size() == 5);
  CHECK(acceptor.is_closed());
  CHECK_FALSE(acceptor.owns(kFirstKey));
  CHECK(keys_told(epoll).empty());
  Acceptor sibling{epoll, listeners.inherited(), kFirstKey};
  sibling.resume();
  CHECK(sibling.accept_one(kFirstKey).error == EAGAIN);
  CHECK(sibling.accept_one(kFirstKey + 1).fd.valid());
}

TEST_CASE("closing without a backlog to serve takes nothing") {
  const Listeners listeners{1};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  const os::UniqueFd client = listeners.connect();
  CHECK(close_and_take(acceptor, 0, 100).empty());
  CHECK(acceptor.is_closed());
  CHECK(close_and_take(acceptor, ~std::uint64_t{0}, 100).empty());  // a second time there is nothing to close
  Acceptor sibling{epoll, listeners.inherited(), kFirstKey};
  sibling.resume();
  CHECK(sibling.accept_one(kFirstKey).fd.valid());
}

TEST_CASE("closing stops taking when no more is wanted") {
  const Listeners listeners{1};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  const std::vector<os::UniqueFd> clients = listeners.connect_many(4);
  CHECK(close_and_take(acceptor, 1, 2).size() == 2);
  Acceptor sibling{epoll, listeners.inherited(), kFirstKey};
  sibling.resume();
  CHECK(sibling.accept_one(kFirstKey).fd.valid());
}

TEST_CASE("when all who had a listener have closed it, clients are refused") {
  Listeners listeners{1};
  const os::SocketAddress address = listeners.address(0);
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  listeners.close();
  const os::UniqueFd waits{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  CHECK(::connect(waits.get(), address.get(), address.size) == 0);
  CHECK(close_and_take(acceptor, 1, 100).size() == 1);
  const os::UniqueFd late{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  CHECK(::connect(late.get(), address.get(), address.size) != 0);
  CHECK(errno == ECONNREFUSED);
}

TEST_CASE("an event from before a pause neither gives a connection nor ends the pause") {
  os::Epoll epoll = make_epoll();
  const Listeners listeners(2);
  Acceptor acceptor(epoll, listeners.inherited(), kFirstKey);
  acceptor.resume();
  const os::UniqueFd first = listeners.connect(0);
  const os::UniqueFd second = listeners.connect(1);
  REQUIRE(keys_told(epoll) == Keys{kFirstKey, kFirstKey + 1});
  CHECK(acceptor.accept_one(kFirstKey).fd.valid());
  acceptor.pause();
  const os::Accepted accepted = acceptor.accept_one(kFirstKey + 1);
  CHECK_FALSE(accepted.fd.valid());
  CHECK(accepted.error == EAGAIN);
  CHECK(keys_told(epoll).empty());
  acceptor.resume();
  CHECK(acceptor.accept_one(kFirstKey + 1).fd.valid());
}

TEST_CASE("in reserve a connection is heard of once, by all that wait, and somebody free has it") {
  const Listeners listeners{1};
  os::Epoll epoll = make_epoll();
  Acceptor acceptor{epoll, listeners.inherited(), kFirstKey};
  os::Epoll free_epoll = make_epoll();
  Acceptor free_sibling{free_epoll, listeners.inherited(), kFirstKey};
  acceptor.reserve();
  free_sibling.resume();
  CHECK_FALSE(acceptor.somebody_waits());
  const os::UniqueFd client = listeners.connect(0);
  CHECK(keys_told(free_epoll) == Keys{kFirstKey});
  CHECK(keys_told(epoll) == Keys{kFirstKey});
  CHECK(keys_told(epoll).empty());
  CHECK(acceptor.somebody_waits());
  CHECK(free_sibling.accept_one(kFirstKey).fd.valid());
  CHECK_FALSE(acceptor.somebody_waits());
  acceptor.pause();
  acceptor.reserve();  // anew
  CHECK(keys_told(epoll).empty());
  const os::UniqueFd next = listeners.connect(0);
  CHECK(keys_told(epoll) == Keys{kFirstKey});
  acceptor.resume();
  auto [accepted, key] = acceptor.accept_any();
  CHECK(accepted.fd.valid());
  CHECK(key == kFirstKey);
}

}  // namespace prong::worker
