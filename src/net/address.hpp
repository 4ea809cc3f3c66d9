// Addresses as an operator writes them, and back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "os/socket.hpp"

namespace prong::net {

enum class AddressKind : std::uint8_t { kTcp, kUnixPath, kUnixAbstract, kSystemd };

struct Address {
  AddressKind kind = AddressKind::kTcp;
  std::string text;          // the canonical form, equal for equal addresses: "127.0.0.1:80", "[::1]:80", "unix:/a"
  std::string name;          // the path, the abstract name, or the FileDescriptorName
  os::SocketAddress socket;  // not for kSystemd
};

// "127.0.0.1:80", "[::]:80", "*:80" (all IPv4 addresses), "unix:/run/x.sock", "unix:@abstract", "systemd:NAME".
// Host names are refused: what they resolve to can change between two reloads. Errors say what to write instead.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

// "127.0.0.1:4711", "[::1]:80", "unix:/path", "unix:@name", "unix:" for a client's socket without a name.
[[nodiscard]] std::string to_text(const os::SocketAddress& address);

// A client's address alone: "127.0.0.1", "fe80::1%2"; an IPv4 address that came over an IPv6 socket as IPv4. Empty for
// a UNIX socket.
[[nodiscard]] std::string host_text(const os::SocketAddress& address);
// Whether the peer is certainly on this machine: a UNIX socket, or a loopback address.
[[nodiscard]] bool is_local(const os::SocketAddress& address);
// 0 for a UNIX socket.
[[nodiscard]] std::uint16_t port_of(const os::SocketAddress& address);

}  // namespace prong::net
