// How the servers begin that the benchmarks hold prongd against: a socket that listens on 127.0.0.1, or the end.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

// `type`: flags besides SOCK_STREAM. `program`: for the message.
inline int listen_on(std::uint16_t port, int type, const char* program) {
  constexpr int kBacklog = 4096;
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
  const int one = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, kBacklog) != 0) {
    std::perror(program);
    std::exit(1);
  }
  return listener;
}
