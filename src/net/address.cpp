#include "net/address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

namespace prong::net {
namespace {

constexpr std::string_view kForms =
    R"(write "127.0.0.1:8080", "[::]:8080", "*:8080", "unix:/run/name.sock", "unix:@name" or "systemd:NAME")";

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Result<Address> parse_unix(std::string_view path) {
  Address address;
  sockaddr_un raw{};
  raw.sun_family = AF_UNIX;
  const bool abstract = path.starts_with('@');
  if (abstract) path.remove_prefix(1);
  // A path ends in NUL, an abstract name starts with one: unix(7).
  constexpr std::size_t kLongest = sizeof raw.sun_path - 1;
  if (path.empty()) return failure("a UNIX address needs a path or a name", kForms);
  if (path.size() > kLongest)
    return failure(fmt::format("\"{}\" is too long for a UNIX address: {} bytes, at most {} (unix(7))", path,
                               path.size(), kLongest));
  if (!abstract && !path.starts_with('/'))
    return failure(fmt::format("\"{}\" is not an absolute path", path), fmt::format("write \"unix:/run/{}\"", path));
  path.copy(static_cast<char*>(raw.sun_path) + (abstract ? 1 : 0), path.size());
  address.kind = abstract ? AddressKind::kUnixAbstract : AddressKind::kUnixPath;
  address.name = path;
  address.text = fmt::format("unix:{}{}", abstract ? "@" : "", path);
  std::memcpy(&address.socket.storage, &raw, sizeof raw);
  address.socket.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
  return address;
}

bool fill_v4(const std::string& host, std::uint16_t port, os::SocketAddress& socket) {
  sockaddr_in raw{};
  raw.sin_family = AF_INET;
  raw.sin_port = htons(port);
  if (::inet_pton(AF_INET, host == "*" ? "0.0.0.0" : host.c_str(), &raw.sin_addr) != 1) return false;
  std::memcpy(&socket.storage, &raw, sizeof raw);
  socket.size = sizeof raw;
  return true;
}

// An interface by name, or by its number (RFC 4007 section 11.2); 0 when there is none.
std::uint32_t scope_id(const std::string& zone) {
  if (const unsigned index = ::if_nametoindex(zone.c_str()); index != 0) return index;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(zone.data(), zone.data() + zone.size(), number);
  return error == std::errc{} && end == zone.data() + zone.size() ? number : 0;
}

// "fe80::1%eth0" carries a scope: RFC 4007 section 11.
bool fill_v6(std::string host, std::uint16_t port, os::SocketAddress& socket) {
  sockaddr_in6 raw{};
  raw.sin6_family = AF_INET6;
  raw.sin6_port = htons(port);
  if (const std::size_t percent = host.find('%'); percent != std::string::npos) {
    raw.sin6_scope_id = scope_id(host.substr(percent + 1));
    if (raw.sin6_scope_id == 0) return false;
    host.resize(percent);
  }
  if (::inet_pton(AF_INET6, host.c_str(), &raw.sin6_addr) != 1) return false;
  std::memcpy(&socket.storage, &raw, sizeof raw);
  socket.size = sizeof raw;
  return true;
}

Result<Address> parse_tcp(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return failure(fmt::format("\"{}\" is not an address", text), kForms);
  const auto port = parse_port(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  // "::1" alone: its last group would be taken for the port.
  if (!bracketed && host.find(':') != std::string_view::npos)
    return failure(fmt::format("\"{}\" is not an address: an IPv6 address stands in brackets", text), kForms);
  if (!port)
    return failure(fmt::format("\"{}\" is not an address: the port must be a number from 0 to 65535", text), kForms);
  if (host.empty())
    return failure(fmt::format("\"{}\" names no host", text), fmt::format(R"(write "*{0}" or "[::]{0}")", text));
  if (bracketed) host = host.substr(1, host.size() - 2);
  Address address;
  const bool known =
      bracketed ? fill_v6(std::string{host}, *port, address.socket) : fill_v4(std::string{host}, *port, address.socket);
  if (!known && bracketed && host.find('%') != std::string_view::npos)
    return failure(fmt::format("\"{}\" is not an IPv6 address of an interface that is there", host),
                   "`ip link` shows the interfaces");
  if (!known)
    return failure(fmt::format("\"{}\" is not an IP address", host),
                   "host names are not looked up: what they resolve to may change between two reloads");
  address.text = to_text(address.socket);
  return address;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return failure("an address cannot contain a NUL byte");
  if (text.starts_with("unix:")) return parse_unix(text.substr(5));
  if (text.starts_with("systemd:")) {
    const std::string_view name = text.substr(8);
    if (name.empty()) return failure("\"systemd:\" needs the FileDescriptorName= of a socket unit", kForms);
    return Address{.kind = AddressKind::kSystemd, .text = std::string{text}, .name = std::string{name}, .socket = {}};
  }
  return parse_tcp(text);
}

std::string to_text(const os::SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  switch (address.family()) {
    case AF_INET: {
      sockaddr_in raw{};
      std::memcpy(&raw, &address.storage, sizeof raw);
      (void)::inet_ntop(AF_INET, &raw.sin_addr, host.data(), host.size());  // the buffer is large enough
      return fmt::format("{}:{}", host.data(), ntohs(raw.sin_port));
    }
    case AF_INET6: {
      sockaddr_in6 raw{};
      std::memcpy(&raw, &address.storage, sizeof raw);
      (void)::inet_ntop(AF_INET6, &raw.sin6_addr, host.data(), host.size());
      if (raw.sin6_scope_id != 0)
        return fmt::format("[{}%{}]:{}", host.data(), raw.sin6_scope_id, ntohs(raw.sin6_port));
      return fmt::format("[{}]:{}", host.data(), ntohs(raw.sin6_port));
    }
    case AF_UNIX: {
      sockaddr_un raw{};
      std::memcpy(&raw, &address.storage, std::min<std::size_t>(sizeof raw, address.size));
      const std::size_t length =
          address.size > offsetof(sockaddr_un, sun_path) ? address.size - offsetof(sockaddr_un, sun_path) : 0;
      const std::string_view path{static_cast<const char*>(raw.sun_path), length};
      if (path.empty()) return "unix:";
      if (path.front() == '\0') return fmt::format("unix:@{}", path.substr(1));
      return fmt::format("unix:{}", path.substr(0, path.find('\0')));
    }
    default:
      return fmt::format("address family {}", address.family());
  }
}

std::string host_text(const os::SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (address.family() == AF_INET) {
    sockaddr_in raw{};
    std::memcpy(&raw, &address.storage, sizeof raw);
    (void)::inet_ntop(AF_INET, &raw.sin_addr, host.data(), host.size());  // the buffer is large enough
    return host.data();
  }
  if (address.family() != AF_INET6) return {};
  sockaddr_in6 raw{};
  std::memcpy(&raw, &address.storage, sizeof raw);
  if (IN6_IS_ADDR_V4MAPPED(&raw.sin6_addr)) {
    constexpr std::size_t kPrefix = 12;  // bytes before the IPv4 address (RFC 4291 section 2.5.5.2)
    (void)::inet_ntop(AF_INET, &raw.sin6_addr.s6_addr[kPrefix], host.data(), host.size());
    return host.data();
  }
  (void)::inet_ntop(AF_INET6, &raw.sin6_addr, host.data(), host.size());
  return raw.sin6_scope_id == 0 ? std::string(host.data()) : fmt::format("{}%{}", host.data(), raw.sin6_scope_id);
}

bool is_local(const os::SocketAddress& address) {
  if (address.family() == AF_UNIX) return true;
  if (address.family() == AF_INET) {
    sockaddr_in raw{};
    std::memcpy(&raw, &address.storage, sizeof raw);
    return ntohl(raw.sin_addr.s_addr) >> 24U == IN_LOOPBACKNET;
  }
  if (address.family() != AF_INET6) return false;
  sockaddr_in6 raw{};
  std::memcpy(&raw, &address.storage, sizeof raw);
  constexpr std::size_t kPrefix = 12;  // bytes before the IPv4 address (RFC 4291 section 2.5.5.2)
  return IN6_IS_ADDR_LOOPBACK(&raw.sin6_addr) ||
         (IN6_IS_ADDR_V4MAPPED(&raw.sin6_addr) && raw.sin6_addr.s6_addr[kPrefix] == IN_LOOPBACKNET);
}

std::uint16_t port_of(const os::SocketAddress& address) {
  // In both structs the port stands at the same place (ip(7), ipv6(7)).
  if (address.family() != AF_INET && address.family() != AF_INET6) return 0;
  sockaddr_in raw{};
  std::memcpy(&raw, &address.storage, sizeof raw);
  return ntohs(raw.sin_port);
}

}  // namespace prong::net
