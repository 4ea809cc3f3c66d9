// Addresses as operators write them: one canonical text for each, and an answer to every mistake.
#include <catch2/catch.hpp>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "net/address.hpp"

namespace prong::net {
namespace {

using namespace std::string_view_literals;

std::string canonical(std::string_view text) {
  const auto address = parse_address(text);
  return address ? address->text : "error: " + address.error().text();
}

std::string message(std::string_view text) {
  const auto address = parse_address(text);
  return address ? "good: " + address->text : address.error().message;
}

std::string hint(std::string_view text) {
  const auto address = parse_address(text);
  return address ? "good: " + address->text : address.error().hint;
}

sockaddr_un as_unix(const Address& address) {
  sockaddr_un raw{};
  std::memcpy(&raw, &address.socket.storage, sizeof raw);
  return raw;
}

}  // namespace

TEST_CASE("TCP addresses have one canonical text, however they are written") {
  CHECK(canonical("127.0.0.1:8080") == "127.0.0.1:8080");
  CHECK(canonical("0.0.0.0:0") == "0.0.0.0:0");
  CHECK(canonical("*:80") == "0.0.0.0:80");
  CHECK(canonical("127.0.0.1:0080") == "127.0.0.1:80");
  CHECK(canonical("255.255.255.255:65535") == "255.255.255.255:65535");
  CHECK(canonical("[::]:80") == "[::]:80");
  CHECK(canonical("[0:0:0:0:0:0:0:1]:80") == "[::1]:80");
  CHECK(canonical("[2001:DB8::A]:443") == "[2001:db8::a]:443");
  CHECK(canonical("[::ffff:127.0.0.1]:80") == "[::ffff:127.0.0.1]:80");
}

TEST_CASE("a TCP address is what bind(2) needs") {
  const auto v4 = parse_address("127.0.0.1:8080");
  REQUIRE(v4.has_value());
  CHECK(v4->kind == AddressKind::kTcp);
  sockaddr_in raw{};
  std::memcpy(&raw, &v4->socket.storage, sizeof raw);
  CHECK(v4->socket.size == sizeof raw);
  CHECK(raw.sin_family == AF_INET);
  CHECK(ntohs(raw.sin_port) == 8080);
  CHECK(ntohl(raw.sin_addr.s_addr) == INADDR_LOOPBACK);

  const auto v6 = parse_address("[::1]:80");
  REQUIRE(v6.has_value());
  sockaddr_in6 raw6{};
  std::memcpy(&raw6, &v6->socket.storage, sizeof raw6);
  CHECK(v6->socket.size == sizeof raw6);
  CHECK(raw6.sin6_family == AF_INET6);
  CHECK(ntohs(raw6.sin6_port) == 80);
  CHECK(IN6_IS_ADDR_LOOPBACK(&raw6.sin6_addr));
  CHECK(raw6.sin6_scope_id == 0);
}

TEST_CASE("an IPv6 address may carry the interface that it belongs to") {
  const auto address = parse_address("[fe80::1%lo]:80");  // every system has lo
  REQUIRE(address.has_value());
  sockaddr_in6 raw{};
  std::memcpy(&raw, &address->socket.storage, sizeof raw);
  CHECK(raw.sin6_scope_id != 0);
  CHECK(canonical("[fe80::1%lo]:80") != canonical("[fe80::1]:80"));
  CHECK_FALSE(parse_address("[fe80::1%no-such-if]:80").has_value());
  CHECK_FALSE(parse_address("[fe80::1%]:80").has_value());
}

TEST_CASE("the canonical text is an address again, and the same one") {
  for (const auto text : {"127.0.0.1:80"sv, "*:80"sv, "[::1]:80"sv, "[fe80::1%lo]:80"sv, "unix:/run/a.sock"sv,
                          "unix:@name"sv, "systemd:web"sv}) {
    const std::string once = canonical(text);
    CHECK(canonical(once) == once);
  }
}

TEST_CASE("a UNIX address is a path that ends in NUL") {
  const auto address = parse_address("unix:/run/prongd/a.sock");
  REQUIRE(address.has_value());
  CHECK(address->kind == AddressKind::kUnixPath);
  CHECK(address->text == "unix:/run/prongd/a.sock");
  CHECK(address->name == "/run/prongd/a.sock");
  const sockaddr_un raw = as_unix(*address);
  CHECK(raw.sun_family == AF_UNIX);
  CHECK(std::string_view{static_cast<const char*>(raw.sun_path)} == "/run/prongd/a.sock");
  CHECK(address->socket.size == offsetof(sockaddr_un, sun_path) + address->name.size() + 1);
}

TEST_CASE("an abstract address starts with NUL and is exactly as long as its name") {
  const auto address = parse_address("unix:@prongd");
  REQUIRE(address.has_value());
  CHECK(address->kind == AddressKind::kUnixAbstract);
  CHECK(address->text == "unix:@prongd");
  CHECK(address->name == "prongd");
  const sockaddr_un raw = as_unix(*address);
  CHECK(raw.sun_path[0] == '\0');
  CHECK(std::string_view{static_cast<const char*>(raw.sun_path) + 1} == "prongd");
  CHECK(address->socket.size == offsetof(sockaddr_un, sun_path) + 1 + 6);
}

TEST_CASE("a UNIX path or name of the greatest length is good, one byte more is told") {
  constexpr std::size_t kLongest = sizeof(sockaddr_un::sun_path) - 1;
  const std::string path = "/" + std::string(kLongest - 1, 'p');
  CHECK(canonical("unix:" + path) == "unix:" + path);
  CHECK_THAT(message("unix:" + path + "p"),
             Catch::EndsWith("too long for a UNIX address: 108 bytes, at most 107 (unix(7))"));
  const std::string name(kLongest, 'n');
  CHECK(canonical("unix:@" + name) == "unix:@" + name);
  CHECK_THAT(message("unix:@" + name + "n"), Catch::Contains("108 bytes, at most 107"));
}

TEST_CASE("a systemd address is the name of a descriptor") {
  const auto address = parse_address("systemd:web.socket");
  REQUIRE(address.has_value());
  CHECK(address->kind == AddressKind::kSystemd);
  CHECK(address->name == "web.socket");
  CHECK(address->text == "systemd:web.socket");
  CHECK(message("systemd:") == "\"systemd:\" needs the FileDescriptorName= of a socket unit");
}

TEST_CASE("what is no address is told, with the forms that are") {
  CHECK(message("") == "\"\" is not an address");
  CHECK(message("8080") == "\"8080\" is not an address");
  CHECK(message("localhost") == "\"localhost\" is not an address");
  CHECK(message("/run/a.sock") == "\"/run/a.sock\" is not an address");
  CHECK_THAT(hint("8080"), Catch::StartsWith("write \"127.0.0.1:8080\""));
  CHECK(message("unix:") == "a UNIX address needs a path or a name");
  CHECK(message("unix:@") == "a UNIX address needs a path or a name");
}

TEST_CASE("host names are refused with the reason") {
  CHECK(message("localhost:80") == "\"localhost\" is not an IP address");
  CHECK_THAT(hint("localhost:80"), Catch::Contains("host names are not looked up"));
  CHECK(message("127.0.0.256:80") == "\"127.0.0.256\" is not an IP address");
  CHECK(message("127.1:80") == "\"127.1\" is not an IP address");
  CHECK(message("[127.0.0.1]:80") == "\"127.0.0.1\" is not an IP address");
  CHECK(message("[*]:80") == "\"*\" is not an IP address");
  CHECK(message("[]:80") == "\"\" is not an IP address");
  CHECK(message("[::1::]:80") == "\"::1::\" is not an IP address");
}

TEST_CASE("a port that is none is told") {
  for (const auto text : {"127.0.0.1:"sv, "127.0.0.1:http"sv, "127.0.0.1:65536"sv, "127.0.0.1:-1"sv, "127.0.0.1:+1"sv,
                          "127.0.0.1: 1"sv, "127.0.0.1:80 "sv, "[::1]:"sv})
    CHECK(message(text) ==
          "\"" + std::string{text} + "\" is not an address: the port must be a number from 0 to 65535");
}

TEST_CASE("a port without a host says how to mean all of them") {
  CHECK(message(":80") == "\":80\" names no host");
  CHECK(hint(":80") == "write \"*:80\" or \"[::]:80\"");
}

TEST_CASE("an IPv6 address without brackets is told so") {
  for (const auto text : {"::1"sv, "::1:80"sv, "2001:db8::1"sv, "[::1"sv, "::1]:80"sv})
    CHECK_THAT(message(text), Catch::Contains("an IPv6 address stands in brackets"));
}

TEST_CASE("a relative path says what was probably meant") {
  CHECK(message("unix:a.sock") == "\"a.sock\" is not an absolute path");
  CHECK(hint("unix:a.sock") == "write \"unix:/run/a.sock\"");
}

TEST_CASE("a NUL byte, which ends a text for the kernel, is refused everywhere") {
  CHECK_FALSE(parse_address("unix:/run/a\0b"sv).has_value());
  CHECK_FALSE(parse_address("unix:@a\0b"sv).has_value());
  CHECK_FALSE(parse_address("127.0.0.1\0.example:80"sv).has_value());
  CHECK_FALSE(parse_address("[::1\0x]:80"sv).has_value());
  CHECK_FALSE(parse_address("[fe80::1%lo\0x]:80"sv).has_value());
}

TEST_CASE("socket addresses of the kernel have a text") {
  os::SocketAddress unnamed;
  unnamed.storage.ss_family = AF_UNIX;
  unnamed.size = sizeof(sa_family_t);
  CHECK(to_text(unnamed) == "unix:");
  CHECK(to_text(parse_address("unix:/run/a")->socket) == "unix:/run/a");
  CHECK(to_text(parse_address("unix:@a")->socket) == "unix:@a");
  CHECK(to_text(parse_address("[::1]:80")->socket) == "[::1]:80");
  const std::string longest = "unix:/" + std::string(sizeof(sockaddr_un::sun_path) - 2, 'p');
  CHECK(to_text(parse_address(longest)->socket) == longest);
  os::SocketAddress other;
  other.storage.ss_family = AF_NETLINK;
  CHECK(to_text(other) == "address family 16");
}

}  // namespace prong::net
