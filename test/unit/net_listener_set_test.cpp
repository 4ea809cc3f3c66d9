// The daemon's listeners through reloads: what stays is never touched.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <string>
#include <vector>

#include "config_folder.hpp"
#include "net/listener_set.hpp"
#include "os/socket.hpp"

// Options that are not named have their defaults, which is meant.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace prong::net {
namespace {

using config::test::Folder;
using Names = std::set<std::string>;

Address address_of(const std::string& text) {
  auto address = parse_address(text);
  REQUIRE(address.has_value());
  return std::move(*address);
}

bool ensure(ListenerSet& set, const std::string& text, const ListenOptions& options = {}) {
  const auto added = set.ensure(address_of(text), options);
  if (!added) FAIL(added.error().text());
  return *added;
}

// What a socket unit would pass.
os::SystemdHandover::Socket offered(const std::string& name) {
  auto socket = os::make_socket(AF_INET, SOCK_STREAM);
  REQUIRE(os::bind_socket(socket->get(), address_of("127.0.0.1:0").socket));
  REQUIRE(os::listen_on(socket->get(), 8));
  return {.name = name, .fd = std::move(*socket)};
}

int connect_to(const os::SocketAddress& address) {
  const os::UniqueFd client{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  return ::connect(client.get(), address.get(), address.size) == 0 ? 0 : errno;
}

}  // namespace

TEST_CASE("a listener that is there is not made again, and is the same object") {
  ListenerSet set{{}};
  CHECK(ensure(set, "127.0.0.1:0"));
  const Listener* const first = set.find("127.0.0.1:0");
  REQUIRE(first != nullptr);
  const auto fds = first->descriptors();
  CHECK_FALSE(ensure(set, "127.0.0.1:0"));
  CHECK(ensure(set, "[::1]:0"));
  CHECK(set.find("127.0.0.1:0") == first);
  CHECK(first->descriptors() == fds);
  CHECK(set.find("127.0.0.1:1") == nullptr);
}

TEST_CASE("options that a listener cannot take on are an error, and it stays as it is") {
  ListenerSet set{{}};
  CHECK(ensure(set, "127.0.0.1:0"));
  CHECK_FALSE(set.ensure(address_of("127.0.0.1:0"), {.free_bind = true}).has_value());
  CHECK(set.find("127.0.0.1:0") != nullptr);
}

TEST_CASE("a listener that cannot be bound is an error and not in the set") {
  const os::SystemdHandover::Socket taken = offered("x");
  const std::string address = to_text(*os::local_address(taken.fd.get()));
  ListenerSet set{{}};
  CHECK_FALSE(set.ensure(address_of(address), {}).has_value());
  CHECK(set.find(address) == nullptr);
}

TEST_CASE("what is not kept is closed and its file removed; what is kept is not touched") {
  const Folder folder;
  const std::string kept = "unix:" + folder.path("kept.sock");
  const std::string gone = "unix:" + folder.path("gone.sock");
  ListenerSet set{{}};
  for (const std::string& address : {kept, gone, std::string{"127.0.0.1:0"}}) CHECK(ensure(set, address));
  const Listener* const before = set.find(kept);
  const auto fds = before->descriptors();
  const auto tcp = os::local_address(set.find("127.0.0.1:0")->descriptors()[0]);
  CHECK(set.retain_only({kept, "unix:/never/was"}) == std::vector<std::string>{gone, "127.0.0.1:0"});
  CHECK(set.find(gone) == nullptr);
  CHECK(::access(folder.path("gone.sock").c_str(), F_OK) != 0);
  CHECK(connect_to(*tcp) == ECONNREFUSED);
  CHECK(set.find(kept) == before);
  CHECK(before->descriptors() == fds);
  CHECK(connect_to(address_of(kept).socket) == 0);
}

TEST_CASE("a connection that waits on a kept listener is still there afterwards") {
  ListenerSet set{{}};
  CHECK(ensure(set, "127.0.0.1:0"));
  CHECK(ensure(set, "[::1]:0"));
  const int fd = set.find("127.0.0.1:0")->descriptors()[0];
  const auto address = os::local_address(fd);
  const os::UniqueFd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  REQUIRE(::connect(client.get(), address->get(), address->size) == 0);
  CHECK_FALSE(ensure(set, "127.0.0.1:0", {.backlog = 9}));
  (void)set.retain_only({"127.0.0.1:0"});
  CHECK(os::accept_connection(fd).fd.valid());
}

TEST_CASE("all sockets of one name that systemd passed make one listener") {
  std::vector<os::SystemdHandover::Socket> sockets;
  for (const char* name : {"web", "other", "web"}) sockets.push_back(offered(name));
  const int original = sockets[0].fd.get();
  ListenerSet set{std::move(sockets)};
  CHECK(set.unused_systemd_names() == Names{"other", "web"});
  CHECK(ensure(set, "systemd:web"));
  CHECK(set.unused_systemd_names() == Names{"other"});
  REQUIRE(set.find("systemd:web")->descriptors().size() == 2);
  for (const int fd : set.find("systemd:web")->descriptors()) {
    CHECK(fd != original);
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
}

TEST_CASE("a socket of systemd can be given up at one reload and taken up at the next") {
  std::vector<os::SystemdHandover::Socket> sockets;
  sockets.push_back(offered("web"));
  const auto address = os::local_address(sockets[0].fd.get());
  ListenerSet set{std::move(sockets)};
  CHECK(ensure(set, "systemd:web"));
  CHECK(set.retain_only({}) == std::vector<std::string>{"systemd:web"});
  CHECK(connect_to(*address) == 0);  // systemd's own queue goes on
  CHECK(ensure(set, "systemd:web"));
  CHECK(os::accept_connection(set.find("systemd:web")->descriptors()[0]).fd.valid());
}

TEST_CASE("a name that systemd did not pass is told, with those that it did") {
  std::vector<os::SystemdHandover::Socket> sockets;
  sockets.push_back(offered("web"));
  sockets.push_back(offered("api"));
  ListenerSet set{std::move(sockets)};
  const auto wrong = set.ensure(address_of("systemd:wep"), {});
  REQUIRE_FALSE(wrong.has_value());
  CHECK(wrong.error().message == "systemd passed no socket named \"wep\"");
  CHECK(wrong.error().hint == "it passed: api, web");
  ListenerSet none{{}};
  CHECK_THAT(none.ensure(address_of("systemd:web"), {}).error().hint, Catch::Contains("no socket was passed at all"));
}

TEST_CASE("closing all closes also what systemd passed, and leaves no file") {
  const Folder folder;
  std::vector<os::SystemdHandover::Socket> sockets;
  sockets.push_back(offered("web"));
  const auto address = os::local_address(sockets[0].fd.get());
  ListenerSet set{std::move(sockets)};
  CHECK(ensure(set, "unix:" + folder.path("a.sock")));
  set.close_all();
  CHECK(connect_to(*address) == ECONNREFUSED);
  CHECK(::access(folder.path("a.sock").c_str(), F_OK) != 0);
  CHECK(set.unused_systemd_names().empty());
}

}  // namespace prong::net
