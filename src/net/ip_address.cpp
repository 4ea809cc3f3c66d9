#include "net/ip_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

#include "base/characters.hpp"
#include "net/address.hpp"

namespace prong::net {
namespace {

using Family = IpAddress::Family;

constexpr std::size_t kV4Size = 4;
constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

IpAddress of_v4(const void* bytes) {
  IpAddress address{.family = Family::kV4};
  std::memcpy(address.bytes.data(), bytes, kV4Size);
  return address;
}

IpAddress of_v6(const in6_addr& raw, std::uint32_t scope) {
  if (std::memcmp(&raw, kMappedPrefix.data(), kMappedPrefix.size()) == 0)
    return of_v4(reinterpret_cast<const std::uint8_t*>(&raw) + kMappedPrefix.size());
  IpAddress address{.family = Family::kV6, .scope = scope};
  std::memcpy(address.bytes.data(), &raw, address.bytes.size());
  return address;
}

bool is_obfuscated_port(std::string_view text) {
  return text.size() > 1 && text.front() == '_' && std::ranges::all_of(text, [](char byte) {
           return is_letter(byte) || is_digit(byte) || byte == '.' || byte == '_' || byte == '-';
         });
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  constexpr std::size_t kMostDigits = 5;  // node-port of RFC 7239 section 6
  if (is_obfuscated_port(text)) return 0;
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() > kMostDigits) return std::nullopt;
  return port;
}

struct EndpointParts {
  std::string_view host = {};
  std::optional<std::string_view> port = {};
};

// IPv6 has brackets, or no port.
std::optional<EndpointParts> parts_of(std::string_view text) {
  if (!text.starts_with('[')) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos || colon != text.rfind(':')) return EndpointParts{.host = text};
    return EndpointParts{.host = text.substr(0, colon), .port = text.substr(colon + 1)};
  }
  const std::size_t end = text.find(']');
  if (end == std::string_view::npos) return std::nullopt;
  EndpointParts parts{.host = text.substr(1, end - 1)};
  const std::string_view rest = text.substr(end + 1);
  if (!parts.host.contains(':') || (!rest.empty() && rest.front() != ':')) return std::nullopt;
  if (!rest.empty()) parts.port = rest.substr(1);
  return parts;
}

}  // namespace

IpAddress IpAddress::of(const os::SocketAddress& address) {
  if (address.family() == AF_INET) {
    sockaddr_in raw{};
    std::memcpy(&raw, &address.storage, sizeof raw);
    return of_v4(&raw.sin_addr);
  }
  if (address.family() != AF_INET6) return {};
  sockaddr_in6 raw{};
  std::memcpy(&raw, &address.storage, sizeof raw);
  return of_v6(raw.sin6_addr, raw.sin6_scope_id);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> host{};  // with a zero at its end
  if (text.size() >= host.size() || text.contains('\0')) return std::nullopt;
  text.copy(host.data(), text.size());
  if (text.contains(':')) {
    in6_addr raw{};
    if (::inet_pton(AF_INET6, host.data(), &raw) != 1) return std::nullopt;
    return of_v6(raw, 0);
  }
  in_addr raw{};
  if (::inet_pton(AF_INET, host.data(), &raw) != 1) return std::nullopt;
  return of_v4(&raw);
}

std::string to_text(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  switch (address.family) {
    case Family::kNone:
      return {};
    case Family::kV4:
      (void)::inet_ntop(AF_INET, address.bytes.data(), host.data(), host.size());  // the buffer is large enough
      return host.data();
    case Family::kV6:
      break;
  }
  (void)::inet_ntop(AF_INET6, address.bytes.data(), host.data(), host.size());
  return address.scope == 0 ? std::string(host.data()) : fmt::format("{}%{}", host.data(), address.scope);
}

Endpoint Endpoint::of(const os::SocketAddress& address) {
  return {.address = IpAddress::of(address), .port = port_of(address)};
}

std::optional<Endpoint> parse_endpoint(std::string_view text) {
  const std::optional<EndpointParts> parts = parts_of(text);
  if (!parts) return std::nullopt;
  const auto address = IpAddress::parse(parts->host);
  const auto port = parts->port ? parse_port(*parts->port) : std::optional<std::uint16_t>(0);
  if (!address || !port) return std::nullopt;
  return Endpoint{.address = *address, .port = *port};
}

}  // namespace prong::net
