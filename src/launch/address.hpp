// Socket addresses as texts, as inet_ntop(3) and net::host_text() have them, and no heap, no errno (call.hpp says why).
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>

#include "launch/text.hpp"

namespace prong::launch {

union SocketName {
  sockaddr_storage storage;
  sockaddr any;
  sockaddr_un local;
};

// "127.0.0.1", "2001:db8::1", "fe80::1%2"; an IPv4 address within IPv6 as IPv4. Nothing for other families.
void add_host(Text& text, const SocketName& name);
// 0 for other families.
[[nodiscard]] std::uint16_t port_of(const SocketName& name);
// "/path" or "@name"; nothing for a socket without a name. `size`: as the kernel gave it.
void add_path(Text& text, const SocketName& name, socklen_t size);

}  // namespace prong::launch
