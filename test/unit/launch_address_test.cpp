// Addresses as the static launcher writes them, against those of the C library and of net/address.
#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <netinet/in.h>

#include <array>
#include <cstring>
#include <random>
#include <string>

#include "launch/address.hpp"
#include "net/address.hpp"

namespace prong::launch {
namespace {

std::string host(const SocketName& name) {
  std::array<char, 64> buffer{};
  Text text{buffer};
  add_host(text, name);
  return text.begin();
}

SocketName v6(const std::array<std::uint8_t, 16>& bytes, std::uint32_t scope = 0) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(4321);
  raw.sin6_scope_id = scope;
  std::memcpy(&raw.sin6_addr, bytes.data(), bytes.size());
  SocketName name{};
  std::memcpy(&name, &raw, sizeof raw);
  return name;
}

os::SocketAddress as_address(const SocketName& name) {
  os::SocketAddress address;
  std::memcpy(&address.storage, &name, sizeof name);
  address.size = sizeof(sockaddr_in6);
  return address;
}

}  // namespace

TEST_CASE("a host is written as everywhere else, whatever its zeros") {
  std::mt19937 random{20261123};  // NOLINT(bugprone-random-generator-seed,cert-msc51-cpp): the same in each run
  for (int i = 0; i < 20'000; ++i) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t group = 0; group < 16; group += 2) {
      if (random() % 3 == 0) continue;
      bytes.at(group) = static_cast<std::uint8_t>(random() % 2 == 0 ? 0 : random());
      bytes.at(group + 1) = static_cast<std::uint8_t>(random());
    }
    if (i % 10 == 0) bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, static_cast<std::uint8_t>(random())};
    if (i % 10 == 1) bytes = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, static_cast<std::uint8_t>(random())};
    const SocketName name = v6(bytes, i % 7 == 0 ? 3 : 0);
    INFO(net::to_text(as_address(name)));
    REQUIRE(host(name) == net::host_text(as_address(name)));
  }
  CHECK(host(v6({})) == "::");
  CHECK(port_of(v6({})) == 4321);
}

TEST_CASE("an IPv4 host has its numbers, and a UNIX socket none") {
  const auto address = net::parse_address("192.0.2.10:65535").value();
  SocketName name{};
  std::memcpy(&name, &address.socket.storage, sizeof name);
  CHECK(host(name) == "192.0.2.10");
  CHECK(port_of(name) == 65535);
  name.any.sa_family = AF_UNIX;
  CHECK(host(name).empty());
  CHECK(port_of(name) == 0);
}

TEST_CASE("a UNIX socket is told by its path or its abstract name, which has no end but its size") {
  for (const std::string wanted : {"/run/x.sock", "@shop", ""}) {
    SocketName name{};
    name.any.sa_family = AF_UNIX;
    socklen_t size = offsetof(sockaddr_un, sun_path);
    if (!wanted.empty()) {
      std::memcpy(name.local.sun_path, wanted.data(), wanted.size());
      size += static_cast<socklen_t>(wanted.size());
      if (wanted[0] == '@')
        name.local.sun_path[0] = '\0';
      else
        ++size;  // the kernel counts the NUL
    }
    std::array<char, 128> buffer{};
    Text text{buffer};
    add_path(text, name, size);
    CHECK(text.begin() == wanted);
  }
}

TEST_CASE("a text that is too long is cut and ended") {
  std::array<char, 5> buffer{};
  Text text{buffer};
  text.add("abc").number(12345);
  CHECK(std::string{text.begin()} == "abc1");
  CHECK(text.size() == 4);
}

}  // namespace prong::launch
