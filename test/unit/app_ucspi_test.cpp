// What a program is told about its connection.
#include <catch2/catch.hpp>
#include <sys/un.h>
#include <unistd.h>

#include <map>
#include <string>

#include "app/ucspi.hpp"
#include "net/address.hpp"
#include "net/listener.hpp"
#include "os/execute.hpp"

namespace prong::app {
namespace {

// Connects to the address and tells what the server side is told; "SELF" stands for the client's own port.
std::map<std::string, std::string> told_about(const std::string& listen, const std::string& connect_to = {}) {
  net::ListenOptions options;
  options.v6only = false;
  auto listener = net::Listener::open(net::parse_address(listen).value(), options);
  REQUIRE(listener.has_value());
  auto local = os::local_address(listener->descriptors().at(0));
  REQUIRE(local.has_value());
  os::SocketAddress to = *local;
  if (!connect_to.empty())
    to = net::parse_address(connect_to + ":" + std::to_string(net::port_of(*local))).value().socket;
  auto client = os::make_socket(to.family(), SOCK_STREAM);
  REQUIRE(client.has_value());
  // Non-blocking: to a listener on this machine the connection is there at once, or EINPROGRESS says that it will be.
  (void)os::connect_socket(client->get(), to);
  const os::Accepted accepted = [&] {
    while (true) {
      os::Accepted next = os::accept_connection(listener->descriptors().at(0), os::AcceptFor::kProgram);
      if (next.error != EAGAIN) return next;
    }
  }();
  REQUIRE(accepted.error == 0);
  std::map<std::string, std::string> told;
  for (auto& [name, value] : ucspi_variables(accepted.fd.get(), accepted.peer)) told.emplace(name, value);
  CHECK(told.size() <= kMostUcspiVariables);
  const std::string own = std::to_string(net::port_of(os::local_address(client->get()).value()));
  const std::string port = std::to_string(net::port_of(*local));
  for (auto& [name, value] : told) {
    if (value == own && name == "TCPREMOTEPORT") value = "SELF";
    if (value == port && name == "TCPLOCALPORT") value = "PORT";
  }
  listener->unlink();
  return told;
}

using Told = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("a TCP connection is told by its addresses and ports") {
  CHECK(told_about("0.0.0.0:0", "127.0.0.1") == Told{{"PROTO", "TCP"},
                                                     {"TCPLOCALIP", "127.0.0.1"},
                                                     {"TCPLOCALPORT", "PORT"},
                                                     {"TCPREMOTEIP", "127.0.0.1"},
                                                     {"TCPREMOTEPORT", "SELF"}});
}

TEST_CASE("an IPv6 connection has PROTO=TCP too, and an IPv4 client of an IPv6 socket its IPv4 address") {
  CHECK(told_about("[::1]:0") == Told{{"PROTO", "TCP"},
                                      {"TCPLOCALIP", "::1"},
                                      {"TCPLOCALPORT", "PORT"},
                                      {"TCPREMOTEIP", "::1"},
                                      {"TCPREMOTEPORT", "SELF"}});
  CHECK(told_about("[::]:0", "127.0.0.1").at("TCPREMOTEIP") == "127.0.0.1");
}

TEST_CASE("a connection of a UNIX socket is told by the socket's name and the client's credentials") {
  const Told expected{{"PROTO", "UNIX"},
                      {"UNIXLOCALPATH", "/tmp/prong-ucspi-" + std::to_string(::getpid())},
                      {"UNIXREMOTEPID", std::to_string(::getpid())},
                      {"UNIXREMOTEEUID", std::to_string(::geteuid())},
                      {"UNIXREMOTEEGID", std::to_string(::getegid())}};
  CHECK(told_about("unix:" + expected.at("UNIXLOCALPATH")) == expected);
  CHECK(told_about("unix:@prong-ucspi-" + std::to_string(::getpid())).at("UNIXLOCALPATH") ==
        "@prong-ucspi-" + std::to_string(::getpid()));
}

}  // namespace prong::app
