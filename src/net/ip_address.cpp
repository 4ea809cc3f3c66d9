#include "net/ip_address.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>

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
           return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                  byte == '.' || byte == '_' || byte == '-';
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
  std::string_view host = text;
  std::optional<std::uint16_t> port = 0;
  const bool bracketed = text.starts_with('[');
  // The address of IPv6 without brackets has no port.
  const std::size_t host_end = bracketed                           ? text.find(']')
                               : text.find(':') == text.rfind(':') ? text.find(':')
                                                                   : text.npos;
  if (bracketed && host_end == std::string_view::npos) return std::nullopt;
  if (host_end != std::string_view::npos) {
    host = bracketed ? text.substr(1, host_end - 1) : text.substr(0, host_end);
    const std::string_view rest = text.substr(host_end + (bracketed ? 1 : 0));
    if (!rest.empty()) port = rest.front() == ':' ? parse_port(rest.substr(1)) : std::nullopt;
  }
  const auto address = IpAddress::parse(host);
  if (!address || !port || (bracketed && !host.contains(':'))) return std::nullopt;
  return Endpoint{.address = *address, .port = *port};
}

}  // namespace prong::net
