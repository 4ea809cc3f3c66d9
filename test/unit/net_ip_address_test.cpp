// Addresses and networks: what proxies write, and what an operator writes about proxies.
#include <catch2/catch.hpp>
#include <netinet/in.h>

#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.hpp"
#include "net/ip_address.hpp"
#include "net/network.hpp"

namespace prong::net {
namespace {

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  REQUIRE(address.has_value());
  return *address;
}

std::string error_of(std::string_view text) {
  const auto network = Network::parse(text);
  return network ? "(no error)" : network.error().text();
}

bool contains(std::string_view network, std::string_view address) {
  const auto parsed = Network::parse(network);
  REQUIRE(parsed.has_value());
  return parsed->contains(ip(address));
}

}  // namespace

TEST_CASE("addresses are read and written in their one form") {
  struct Row {
    const char *text, *canonical;
  };
  for (const Row& row : {Row{"192.0.2.7", "192.0.2.7"},
                         {"0.0.0.0", "0.0.0.0"},
                         {"255.255.255.255", "255.255.255.255"},
                         {"::1", "::1"},
                         {"::", "::"},
                         {"2001:DB8:0:0:0:0:0:7", "2001:db8::7"},
                         {"::ffff:192.0.2.7", "192.0.2.7"},
                         {"::ffff:c000:207", "192.0.2.7"},
                         {"::192.0.2.7", "::192.0.2.7"}}) {
    CAPTURE(row.text);
    CHECK(to_text(ip(row.text)) == row.canonical);
    CHECK(ip(row.text) == ip(row.canonical));
  }
}

TEST_CASE("what is no address is none") {
  for (const std::string_view text :
       {"", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", "0x1.2.3.4", "[::1]", "::1%lo",
        "1::2::3", "12345::", "::1.2.3", "localhost", "unknown", "_hidden", "1.2.3.4/8", "::ffff:1.2.3.4:80"}) {
    CAPTURE(text);
    CHECK_FALSE(IpAddress::parse(text).has_value());
  }
  CHECK_FALSE(IpAddress::parse(std::string_view("::1\0", 4)).has_value());
  CHECK_FALSE(IpAddress::parse(std::string(1000, '1')).has_value());
}

TEST_CASE("the address of a peer is that of its socket, without what differs between families") {
  const auto of = [](std::string_view text) { return Endpoint::of(parse_address(text)->socket); };
  CHECK(of("192.0.2.7:4711") == Endpoint{.address = ip("192.0.2.7"), .port = 4711});
  CHECK(of("[::ffff:192.0.2.7]:4711") == Endpoint{.address = ip("192.0.2.7"), .port = 4711});
  CHECK(of("[2001:db8::7]:80") == Endpoint{.address = ip("2001:db8::7"), .port = 80});
  CHECK(of("[fe80::1%1]:80").address.scope == 1);
  CHECK(to_text(of("[fe80::1%1]:80").address) == "fe80::1%1");
  CHECK(of("unix:/run/x") == Endpoint{});
  CHECK(to_text(IpAddress{}).empty());
}

TEST_CASE("an address may have brackets and a port, as proxies write it") {
  struct Row {
    const char *text, *address;
    std::uint16_t port;
  };
  for (const Row& row : {Row{"192.0.2.7", "192.0.2.7", 0},
                         {"192.0.2.7:4711", "192.0.2.7", 4711},
                         {"192.0.2.7:65535", "192.0.2.7", 65535},
                         {"192.0.2.7:0", "192.0.2.7", 0},
                         {"192.0.2.7:_port.A-9", "192.0.2.7", 0},
                         {"2001:db8::7", "2001:db8::7", 0},
                         {"[2001:db8::7]", "2001:db8::7", 0},
                         {"[2001:db8::7]:4711", "2001:db8::7", 4711},
                         {"[2001:db8::7]:_x", "2001:db8::7", 0},
                         {"[::ffff:192.0.2.7]:80", "192.0.2.7", 80}}) {
    CAPTURE(row.text);
    const auto endpoint = parse_endpoint(row.text);
    REQUIRE(endpoint.has_value());
    CHECK(*endpoint == Endpoint{.address = ip(row.address), .port = row.port});
  }
  for (const char* text : {"",
                           ":",
                           ":80",
                           "192.0.2.7:",
                           "192.0.2.7:65536",
                           "192.0.2.7:-1",
                           "192.0.2.7:+1",
                           "192.0.2.7:000080",
                           "192.0.2.7:_",
                           "192.0.2.7:_a b",
                           "192.0.2.7:80:80",
                           "[192.0.2.7]",
                           "[192.0.2.7]:80",
                           "[2001:db8::7",
                           "2001:db8::7]",
                           "[2001:db8::7]80",
                           "[2001:db8::7]:",
                           "[]",
                           "[]:80",
                           "[[::1]]",
                           "unknown",
                           "unknown:80",
                           "_hidden",
                           " 192.0.2.7"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_endpoint(text).has_value());
  }
}

TEST_CASE("a network has the addresses that begin as it does") {
  CHECK(contains("10.0.0.0/8", "10.255.0.1"));
  CHECK_FALSE(contains("10.0.0.0/8", "11.0.0.0"));
  CHECK(contains("10.0.0.0/9", "10.127.255.255"));
  CHECK_FALSE(contains("10.0.0.0/9", "10.128.0.0"));
  CHECK(contains("192.0.2.7", "192.0.2.7"));
  CHECK(contains("192.0.2.7/32", "192.0.2.7"));
  CHECK_FALSE(contains("192.0.2.7", "192.0.2.6"));
  CHECK(contains("192.0.2.6/31", "192.0.2.7"));
  CHECK(contains("0.0.0.0/0", "203.0.113.1"));
  CHECK(contains("2001:db8::/32", "2001:db8:ffff::1"));
  CHECK_FALSE(contains("2001:db8::/32", "2001:db9::"));
  CHECK(contains("2001:db8:8000::/33", "2001:db8:8000::1"));
  CHECK_FALSE(contains("2001:db8:8000::/33", "2001:db8::1"));
  CHECK(contains("::1", "::1"));
  CHECK_FALSE(contains("::1", "::2"));
  CHECK(contains("::/0", "::1"));
}

TEST_CASE("families do not mix, but for IPv4 addresses that come as IPv6") {
  CHECK(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
  CHECK(contains("::ffff:0:0/96", "203.0.113.1"));
  CHECK_FALSE(contains("::/0", "10.1.2.3"));
  CHECK_FALSE(contains("::/0", "::ffff:10.1.2.3"));
  CHECK_FALSE(contains("0.0.0.0/0", "::1"));
  CHECK_FALSE(Network::parse("0.0.0.0/0")->contains(IpAddress{}));
  CHECK_FALSE(Network::parse("::/0")->contains(IpAddress{}));
}

TEST_CASE("an interface does not matter for a network") {
  IpAddress address = ip("fe80::1");
  address.scope = 7;
  CHECK(Network::parse("fe80::/10")->contains(address));
  CHECK(Network::parse("fe80::1")->contains(address));
}

TEST_CASE("what is no network is told with what to write") {
  const std::string forms = R"(; write "192.0.2.7", "10.0.0.0/8", "::1" or "2001:db8::/32")";
  for (const char* text : {"", "proxy.example", "10.0.0.0.0/8", "[::1]", "10/8", "*", "::1%lo", "/8"}) {
    CAPTURE(text);
    CHECK(error_of(text) == "\"" + std::string(text) + "\" is no IP address and no network" + forms);
  }
  CHECK(error_of("10.0.0.0/33") == "\"10.0.0.0/33\" is no network: behind the slash is a number from 0 to 32" + forms);
  CHECK(error_of("::/129") == "\"::/129\" is no network: behind the slash is a number from 0 to 128" + forms);
  for (const char* text : {"10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/255.0.0.0", "10.0.0.0/ 8"}) {
    CAPTURE(text);
    CHECK(error_of(text).find("is no network: behind the slash") != std::string::npos);
  }
  CHECK(error_of("10.0.0.1/8") ==
        "\"10.0.0.1/8\" has bits that are not those of the network; write \"10.0.0.0/8\" for the network, or "
        "\"10.0.0.1\" for the one address");
  CHECK(error_of("2001:db8::1/64") ==
        "\"2001:db8::1/64\" has bits that are not those of the network; write \"2001:db8::/64\" for the network, or "
        "\"2001:db8::1\" for the one address");
  CHECK(error_of("::ffff:0:0/80").find("has bits that are not those") != std::string::npos);
}

}  // namespace prong::net
