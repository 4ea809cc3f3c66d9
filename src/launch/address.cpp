#include "launch/address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace prong::launch {
namespace {

constexpr std::size_t kGroups = 8;

void add_v4(Text& text, const std::uint8_t* bytes) {
  for (int i = 0; i < 4; ++i) {
    if (i > 0) text.add('.');
    text.number(bytes[i]);
  }
}

struct Run {
  std::size_t begin = 0;
  std::size_t length = 0;
};

// The first of the longest runs of groups that are zero; at least two of them (RFC 5952 section 4.2).
Run longest_run(const std::array<std::uint16_t, kGroups>& groups) {
  Run best;
  Run current;
  for (std::size_t i = 0; i < kGroups; ++i) {
    current =
        groups[i] != 0 ? Run{} : Run{.begin = current.length > 0 ? current.begin : i, .length = current.length + 1};
    if (current.length > best.length) best = current;
  }
  return best.length >= 2 ? best : Run{};
}

void add_v6(Text& text, const std::uint8_t* bytes) {
  std::array<std::uint16_t, kGroups> groups{};
  for (std::size_t i = 0; i < kGroups; ++i)
    groups[i] = static_cast<std::uint16_t>(static_cast<unsigned>(bytes[2 * i]) << 8U | bytes[2 * i + 1]);
  const Run zeros = longest_run(groups);
  // "IPv4-compatible", which is deprecated and still printed so by inet_ntop(3).
  const std::size_t last = zeros.begin == 0 && zeros.length == 6 ? 6 : kGroups;
  for (std::size_t i = 0; i < last; ++i) {
    if (zeros.length > 0 && i >= zeros.begin && i < zeros.begin + zeros.length) {
      if (i == zeros.begin) text.add(':');
      continue;
    }
    if (i > 0) text.add(':');
    text.number(groups[i], 16);
  }
  if (last < kGroups) {
    text.add(':');
    add_v4(text, bytes + 12);
  } else if (zeros.length > 0 && zeros.begin + zeros.length == kGroups) {
    text.add(':');
  }
}

}  // namespace

void add_host(Text& text, const SocketName& name) {
  if (name.any.sa_family == AF_INET) {
    sockaddr_in raw{};
    std::memcpy(&raw, &name, sizeof raw);
    std::array<std::uint8_t, sizeof raw.sin_addr> bytes{};
    std::memcpy(bytes.data(), &raw.sin_addr, bytes.size());
    return add_v4(text, bytes.data());
  }
  if (name.any.sa_family != AF_INET6) return;
  sockaddr_in6 raw{};
  std::memcpy(&raw, &name, sizeof raw);
  const std::uint8_t* bytes = raw.sin6_addr.s6_addr;
  constexpr int kPrefix = 12;  // bytes before the IPv4 address (RFC 4291 section 2.5.5.2)
  if (IN6_IS_ADDR_V4MAPPED(&raw.sin6_addr)) return add_v4(text, bytes + kPrefix);
  add_v6(text, bytes);
  if (raw.sin6_scope_id != 0) text.add('%').number(raw.sin6_scope_id);
}

std::uint16_t port_of(const SocketName& name) {
  // In both structs the port stands at the same place (ip(7), ipv6(7)).
  if (name.any.sa_family != AF_INET && name.any.sa_family != AF_INET6) return 0;
  sockaddr_in raw{};
  std::memcpy(&raw, &name, sizeof raw);
  return ntohs(raw.sin_port);
}

void add_path(Text& text, const SocketName& name, socklen_t size) {
  constexpr std::size_t kHead = offsetof(sockaddr_un, sun_path);
  if (name.any.sa_family != AF_UNIX || size <= kHead) return;
  const char* path = name.local.sun_path;
  const std::size_t length = size - kHead;
  if (path[0] == '\0')
    text.add('@').add(path + 1, length - 1);
  else
    text.add(path, ::strnlen(path, length));
}

}  // namespace prong::launch
