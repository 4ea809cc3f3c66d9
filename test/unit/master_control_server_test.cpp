// Clients of the control server that it did not accept itself: workers, which may look and no more, and stay.
#include <catch2/catch.hpp>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "master/control_server.hpp"
#include "os/epoll.hpp"
#include "os/socket.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;

// A server without a socket of its own, whose events the test hands on.
class Server {
 public:
  explicit Server(const config::ControlConfig& config = {.socket = "off"}) {
    REQUIRE(server.prepare(config).has_value());
    server.commit();
  }

  os::UniqueFd admit(const std::string& name) {
    auto pair = os::make_socket_pair(SOCK_STREAM).value();
    server.admit_worker(std::move(pair.first), name, now);
    return std::move(pair.second);
  }

  void turn() {
    std::array<epoll_event, 16> buffer{};
    const auto events = epoll.wait(buffer, 0ns);
    REQUIRE(events.has_value());
    for (const epoll_event& event : *events) {
      REQUIRE(ControlServer::owns(event.data.u64));
      server.handle_event(event.data.u64, event.events, now);
    }
    server.handle_deadlines(now);
  }

  os::Epoll epoll = os::Epoll::create().value();
  ControlServer server{epoll};
  os::TimePoint now = os::now();
};

void say(const os::UniqueFd& fd, const std::string& text) {
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

std::string heard(const os::UniqueFd& fd) {
  std::array<char, 256> buffer{};
  const ssize_t got = ::read(fd.get(), buffer.data(), buffer.size());
  if (got < 0) return "nothing";
  if (got == 0) return "end";
  return {buffer.data(), static_cast<std::size_t>(got)};
}

os::UniqueFd connect_to(const std::string& path) {
  os::UniqueFd client{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  os::SocketAddress address;
  auto& name = reinterpret_cast<sockaddr_un&>(address.storage);
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  address.size = sizeof name;
  REQUIRE(os::connect_socket(client.get(), address).has_value());
  return client;
}

}  // namespace

TEST_CASE("a worker's request comes with its name and with the right to look alone") {
  Server with;
  const os::UniqueFd worker = with.admit("status/worker[0] gen=1 pid=7");
  say(worker, "{}\n");
  with.turn();
  const auto request = with.server.take_request();
  REQUIRE(request.has_value());
  CHECK(request->line == "{}");
  CHECK(request->by == "status/worker[0] gen=1 pid=7");
  CHECK(request->may == ControlServer::May::kLook);
  with.server.answer(request->client, "answer\n", with.now);
  CHECK(heard(worker) == "answer\n");
}

TEST_CASE("a worker that is silent, or has said half a line, is not cut, and wakes nobody") {
  Server with{{.socket = "off", .idle_timeout = 1s}};
  const os::UniqueFd worker = with.admit("a");
  say(worker, "half");
  with.turn();
  CHECK_FALSE(with.server.next_deadline().has_value());
  with.now += 1h;
  with.turn();
  CHECK(heard(worker) == "nothing");
  say(worker, " a line\n");
  with.turn();
  CHECK(with.server.take_request()->line == "half a line");
}

TEST_CASE("the end of a worker is the end of its connection") {
  Server with;
  os::UniqueFd worker = with.admit("a");
  say(worker, "{}\n");
  with.turn();
  worker.reset();
  with.turn();
  CHECK_FALSE(with.server.take_request().has_value());  // nobody is there to answer
}

TEST_CASE("workers are not counted in max_clients, and make room for nobody") {
  std::string folder = std::filesystem::temp_directory_path() / "prongd-control-XXXXXX";
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  {
    Server with{{.socket = folder + "/control.sock", .max_clients = 1}};
    const os::UniqueFd first = with.admit("a");
    const os::UniqueFd second = with.admit("b");
    const os::UniqueFd client = connect_to(folder + "/control.sock");
    with.turn();
    CHECK(heard(client) == "nothing");
    with.now += 1s;
    // The next one takes the place of the first client, and not of a worker.
    const os::UniqueFd other = connect_to(folder + "/control.sock");
    with.turn();
    CHECK(heard(client) == "end");
    CHECK(heard(other) == "nothing");
    CHECK(heard(first) == "nothing");
    CHECK(heard(second) == "nothing");
    say(other, "{}\n");
    with.turn();
    CHECK(with.server.take_request()->may == ControlServer::May::kAll);
  }
  std::filesystem::remove_all(folder);
}

}  // namespace prong::master
