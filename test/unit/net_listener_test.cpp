// Listeners on the loopback and in a folder of the test: bound once, never another's, and refused with a reason.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "config_folder.hpp"
#include "net/listener.hpp"
#include "os/socket.hpp"

// Options that are not named have their defaults, which is meant.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace prong::net {
namespace {

using config::test::Folder;
using namespace std::chrono_literals;

Address address_of(const std::string& text) {
  auto address = parse_address(text);
  REQUIRE(address.has_value());
  return std::move(*address);
}

Listener open_good(const std::string& text, const ListenOptions& options = {}) {
  auto listener = Listener::open(address_of(text), options);
  if (!listener) FAIL(listener.error().text());
  return std::move(*listener);
}

Error open_bad(const std::string& text, const ListenOptions& options = {}) {
  auto listener = Listener::open(address_of(text), options);
  REQUIRE_FALSE(listener.has_value());
  return listener.error();
}

// 0, or why a client cannot connect.
int connect_to(const std::string& text) {
  const Address address = address_of(text);
  const os::UniqueFd client{::socket(address.socket.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  return ::connect(client.get(), address.socket.get(), address.socket.size) == 0 ? 0 : errno;
}

int option(int fd, int level, int name) {
  const auto value = os::get_option(fd, level, name);
  REQUIRE(value.has_value());
  return *value;
}

mode_t mode_of(const std::string& path) {
  struct stat status{};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode;
}

// A socket file that nobody listens on any more.
void leave_stale_file(const std::string& path) {
  const Address address = address_of("unix:" + path);
  const os::UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  REQUIRE(::bind(socket.get(), address.socket.get(), address.socket.size) == 0);
}

}  // namespace

TEST_CASE("a TCP listener accepts on the port that the kernel chose, and says which") {
  const auto [asked, prefix] =
      GENERATE(table<std::string, std::string>({{"127.0.0.1:0", "127.0.0.1:"}, {"[::1]:0", "[::1]:"}}));
  Listener listener = open_good(asked);
  CHECK(listener.address().text == asked);
  const std::string bound = listener.bound_text();
  CHECK_THAT(bound, Catch::StartsWith(prefix));
  CHECK(bound != asked);
  REQUIRE(listener.descriptors().size() == 1);
  const int fd = listener.descriptors()[0];
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  CHECK(connect_to(bound) == 0);
  listener.close();
  CHECK(listener.descriptors().empty());
  CHECK(connect_to(bound) == ECONNREFUSED);
}

TEST_CASE("the options of a TCP listener are set") {
  const Listener on = open_good("127.0.0.1:0", {.defer_accept = 1s, .receive_buffer = ByteSize{65536}});
  const int fd = on.descriptors()[0];
  CHECK(option(fd, SOL_SOCKET, SO_REUSEADDR) == 1);
  CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
  CHECK(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) >= 1);
  CHECK(option(fd, SOL_SOCKET, SO_RCVBUF) == 2 * 65536);  // socket(7): the kernel doubles it
  const Listener off = open_good("127.0.0.1:0", {.reuse_address = false, .keepalive = false, .nodelay = false});
  const int plain = off.descriptors()[0];
  CHECK(option(plain, SOL_SOCKET, SO_REUSEADDR) == 0);
  CHECK(option(plain, SOL_SOCKET, SO_KEEPALIVE) == 0);
  CHECK(option(plain, IPPROTO_TCP, TCP_NODELAY) == 0);
  CHECK(option(plain, IPPROTO_TCP, TCP_DEFER_ACCEPT) == 0);
}

TEST_CASE("a listener of [::] takes IPv4 only when it is told to") {
  CHECK(option(open_good("[::]:0").descriptors()[0], IPPROTO_IPV6, IPV6_V6ONLY) == 1);
  CHECK(option(open_good("[::]:0", {.v6only = false}).descriptors()[0], IPPROTO_IPV6, IPV6_V6ONLY) == 0);
}

TEST_CASE("free_bind binds an address that no interface has") {
  const Error error = open_bad("192.0.2.1:0");  // TEST-NET-1, RFC 5737
  CHECK(error.message == "cannot bind \"192.0.2.1:0\": Cannot assign requested address");
  CHECK_THAT(error.hint, Catch::Contains("free_bind"));
  CHECK(Listener::open(address_of("192.0.2.1:0"), {.free_bind = true}).has_value());
}

TEST_CASE("a taken port is told with the address and the reason") {
  const Listener first = open_good("127.0.0.1:0");
  const Error error = open_bad(first.bound_text());
  CHECK(error.message == "cannot bind \"" + first.bound_text() + "\": Address already in use");
  CHECK(error.error_number == EADDRINUSE);
  CHECK_THAT(error.hint, Catch::Contains("another program"));
}

TEST_CASE("a UNIX listener makes a socket file of its mode, whatever the umask is") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const mode_t before = ::umask(0027);
  Listener listener = open_good("unix:" + path, {.mode = 0666});
  CHECK(::umask(before) == 0027);  // the listener put it back
  CHECK(mode_of(path) == (S_IFSOCK | 0666U));
  CHECK(connect_to("unix:" + path) == 0);
  CHECK(listener.bound_text() == "unix:" + path);
  listener.unlink();
  CHECK(::access(path.c_str(), F_OK) != 0);
  listener.unlink();  // a second time does nothing
}

TEST_CASE("a UNIX socket's file gets its owner and group") {
  if (::geteuid() != 0) {
    WARN("only root can give files away");
    return;
  }
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const Listener listener = open_good("unix:" + path, {.mode = 0600, .owner = 4711, .group = 4712});
  struct stat status{};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(status.st_uid == 4711);
  CHECK(status.st_gid == 4712);
  CHECK((status.st_mode & 0777U) == 0600);
}

TEST_CASE("a stale socket file is replaced") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  leave_stale_file(path);
  const Listener listener = open_good("unix:" + path);
  CHECK(connect_to("unix:" + path) == 0);
}

TEST_CASE("a socket file that somebody answers on is left alone") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  const Listener first = open_good("unix:" + path);
  const Error error = open_bad("unix:" + path);
  CHECK(error.message == "cannot bind \"unix:" + path + "\": Address already in use");
  CHECK(error.hint == "another program listens there");
  CHECK(connect_to("unix:" + path) == 0);
}

TEST_CASE("a file that is no socket is never removed") {
  const Folder folder;
  const std::string path = folder.write("precious", "data");
  const Error error = open_bad("unix:" + path);
  CHECK(error.message == "cannot bind \"unix:" + path + "\": the file exists and is not a socket");
  std::ifstream file{path};
  CHECK(std::string{std::istreambuf_iterator<char>{file}, {}} == "data");
  REQUIRE(::symlink(path.c_str(), folder.path("link").c_str()) == 0);
  CHECK_FALSE(Listener::open(address_of("unix:" + folder.path("link")), {}).has_value());
  CHECK(S_ISLNK(mode_of(folder.path("link"))));
}

TEST_CASE("a folder that does not exist is told") {
  const Folder folder;
  const Error error = open_bad("unix:" + folder.path("no/a.sock"));
  CHECK_THAT(error.message, Catch::EndsWith("No such file or directory"));
  CHECK(error.hint == "the folder does not exist");
}

TEST_CASE("a UNIX listener whose file cannot get its owner leaves no file behind") {
  if (::geteuid() == 0) {
    WARN("root can give files away");
    return;
  }
  const Folder folder;
  CHECK_THAT(open_bad("unix:" + folder.path("a.sock"), {.owner = 0}).message, Catch::Contains("change the owner"));
  CHECK(::access(folder.path("a.sock").c_str(), F_OK) != 0);
}

TEST_CASE("a file that took the place of ours is neither removed nor changed") {
  const Folder folder;
  const std::string path = folder.path("a.sock");
  Listener listener = open_good("unix:" + path, {.mode = 0600});
  REQUIRE(::unlink(path.c_str()) == 0);
  leave_stale_file(path);
  REQUIRE(::chmod(path.c_str(), 0700) == 0);
  SECTION("when the listener goes") {
    listener.unlink();
    CHECK(S_ISSOCK(mode_of(path)));
  }
  SECTION("when its options change") {
    (void)listener.update({.mode = 0644});
    CHECK((mode_of(path) & 0777U) == 0700);
  }
}

TEST_CASE("an abstract UNIX listener has no file and goes with its descriptor") {
  const std::string address = "unix:@prongd-test-" + std::to_string(::getpid());
  {
    Listener listener = open_good(address);
    CHECK(listener.bound_text() == address);
    CHECK(connect_to(address) == 0);
    CHECK(open_bad(address).error_number == EADDRINUSE);
    listener.unlink();
    CHECK(connect_to(address) == 0);
  }
  CHECK(connect_to(address) == ECONNREFUSED);
}

TEST_CASE("listening stream sockets of systemd are adopted as they are") {
  const Listener made = open_good("127.0.0.1:0", {.keepalive = false});
  std::vector<os::UniqueFd> sockets;
  sockets.emplace_back(::fcntl(made.descriptors()[0], F_DUPFD_CLOEXEC, 0));
  const int fd = sockets[0].get();
  auto listener = Listener::adopt(address_of("systemd:web"), std::move(sockets), {.keepalive = true});
  REQUIRE(listener.has_value());
  CHECK(listener->descriptors() == std::vector<int>{fd});
  CHECK(listener->bound_text() == "systemd:web (" + made.bound_text() + ")");
  CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
  CHECK(listener->update({.keepalive = true, .nodelay = false}).has_value());
  CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
}

TEST_CASE("what is no listening stream socket is not adopted") {
  const auto refused = [](os::UniqueFd socket) {
    std::vector<os::UniqueFd> sockets;
    sockets.push_back(std::move(socket));
    const auto listener = Listener::adopt(address_of("systemd:web"), std::move(sockets), {});
    REQUIRE_FALSE(listener.has_value());
    CHECK(listener.error().message == "\"systemd:web\" is not a listening stream socket");
    CHECK_THAT(listener.error().hint, Catch::Contains("ListenStream="));
  };
  refused(os::UniqueFd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)});
  refused(os::UniqueFd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)});  // bound by nobody, not listening
  refused(os::UniqueFd{::open("/dev/null", O_RDWR | O_CLOEXEC)});
  auto packets = os::make_socket(AF_UNIX, SOCK_SEQPACKET);
  const Address address = address_of("unix:@prongd-packets-" + std::to_string(::getpid()));
  REQUIRE(os::bind_socket(packets->get(), address.socket));
  REQUIRE(os::listen_on(packets->get(), 1));
  refused(std::move(*packets));
}

TEST_CASE("one bad socket among good ones is enough to refuse them all") {
  const Listener made = open_good("127.0.0.1:0");
  std::vector<os::UniqueFd> sockets;
  sockets.emplace_back(::fcntl(made.descriptors()[0], F_DUPFD_CLOEXEC, 0));
  sockets.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK_FALSE(Listener::adopt(address_of("systemd:web"), std::move(sockets), {}).has_value());
}

TEST_CASE("what cannot change while a socket is bound is refused with the key's name") {
  const Listener tcp = open_good("[::1]:0");
  const auto refusal = [&](const ListenOptions& options) {
    const auto possible = tcp.can_update(options);
    return possible ? std::string{} : possible.error().message;
  };
  CHECK(refusal({}).empty());
  CHECK(refusal({.backlog = 1, .defer_accept = 5s, .keepalive = false, .nodelay = false}).empty());
  CHECK_THAT(refusal({.v6only = false}), Catch::Contains("v6only"));
  CHECK_THAT(refusal({.reuse_address = false}), Catch::Contains("reuse_address"));
  CHECK_THAT(refusal({.free_bind = true}), Catch::Contains("free_bind"));
  const Folder folder;
  CHECK(open_good("unix:" + folder.path("a.sock")).can_update({.v6only = false, .mode = 0600}).has_value());
}

TEST_CASE("an update changes the options of the socket that is bound, and keeps it listening") {
  Listener listener = open_good("127.0.0.1:0", {.defer_accept = 1s});
  const int fd = listener.descriptors()[0];
  REQUIRE(listener.update({.backlog = 7, .keepalive = false, .nodelay = false}).has_value());
  CHECK(option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
  CHECK(option(fd, IPPROTO_TCP, TCP_NODELAY) == 0);
  CHECK(option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) == 0);
  // facts.md: tcpi_sacked of a listening socket is the limit of its queue.
  tcp_info info{};
  socklen_t size = sizeof info;
  REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
  CHECK(info.tcpi_sacked == 7);
  CHECK(connect_to(listener.bound_text()) == 0);
}

TEST_CASE("an update changes the mode of a socket file") {
  const Folder folder;
  Listener listener = open_good("unix:" + folder.path("a.sock"), {.mode = 0600});
  REQUIRE(listener.update({.mode = 0620}).has_value());
  CHECK((mode_of(folder.path("a.sock")) & 0777U) == 0620);
}

TEST_CASE("connections that wait in the queue survive an update") {
  Listener listener = open_good("127.0.0.1:0");
  const Address address = address_of(listener.bound_text());
  const os::UniqueFd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  REQUIRE(::connect(client.get(), address.socket.get(), address.socket.size) == 0);
  REQUIRE(listener.update({.backlog = 1}).has_value());
  CHECK(os::accept_connection(listener.descriptors()[0]).fd.valid());
}

TEST_CASE("a backlog that the kernel will cut is a warning that says how to have it") {
  const auto most = os::somaxconn();
  REQUIRE(most.has_value());
  CHECK_FALSE(backlog_warning({.backlog = *most}).has_value());
  CHECK_FALSE(backlog_warning({.backlog = 1}).has_value());
  const auto warning = backlog_warning({.backlog = *most + 1});
  REQUIRE(warning.has_value());
  CHECK_THAT(*warning, Catch::Contains(std::to_string(*most + 1) + " to " + std::to_string(*most)));
  CHECK_THAT(*warning, Catch::Contains("net.core.somaxconn"));
}

}  // namespace prong::net
