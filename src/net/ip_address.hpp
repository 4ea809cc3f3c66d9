// IP addresses as small values: what is left of a peer's socket address when only who it is matters, and what proxies
// write into headers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "os/socket.hpp"

namespace prong::net {

// An IPv4 address that came as IPv6 (RFC 4291 section 2.5.5.2) is an IPv4 address.
struct IpAddress {
  enum class Family : std::uint8_t { kNone, kV4, kV6 };

  Family family = Family::kNone;
  std::array<std::uint8_t, 16> bytes{};  // in the order of the network; of IPv4 the first four
  std::uint32_t scope = 0;               // of a link-local IPv6 address: its interface; 0: not known

  // kNone for a UNIX socket.
  [[nodiscard]] static IpAddress of(const os::SocketAddress& address);
  // "192.0.2.7", "2001:db8::7"; without brackets, port or scope. Nothing: it is none.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// "192.0.2.7", "2001:db8::7", "fe80::1%2"; empty of kNone.
[[nodiscard]] std::string to_text(const IpAddress& address);

// An address and the port there; 0: not known, or a UNIX socket.
struct Endpoint {
  IpAddress address = {};
  std::uint16_t port = 0;

  [[nodiscard]] static Endpoint of(const os::SocketAddress& address);

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// "192.0.2.7", "192.0.2.7:4711", "2001:db8::7", "[2001:db8::7]", "[2001:db8::7]:4711"; nothing: it is none of these. In
// place of a port, an obfuscated one (RFC 7239 section 6.3) is not known.
[[nodiscard]] std::optional<Endpoint> parse_endpoint(std::string_view text);

}  // namespace prong::net
