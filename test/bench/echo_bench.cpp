// Both ends of `./dev bench module` for streams: the least that can be called an echo server, to hold a module against,
// and the clients that ask either of them.
//
//   echo_bench serve PORT                             one process, one epoll: receives, and sends the same back
//   echo_bench load PORT CONNECTIONS BYTES SECONDS    each connection sends so many bytes when it has the last ones
//   back;
//                                                     prints how many times
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "listen.hpp"

namespace {

constexpr int kEvents = 256;
std::array<char, 65536> buffer;

void watch(int epoll, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  (void)::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

// Takes it for granted that what was received can be sent: the clients wait for it.
bool echo(int fd) {
  const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (got < 0) return errno == EAGAIN;
  return got > 0 && ::send(fd, buffer.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) == got;
}

[[noreturn]] void serve(std::uint16_t port, const char* program) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int listener = listen_on(port, SOCK_NONBLOCK, program);
  watch(epoll, listener, EPOLLIN);
  while (true) {
    std::array<epoll_event, kEvents> events{};
    const int count = ::epoll_wait(epoll, events.data(), kEvents, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
      if (fd == listener) {
        const int accepted = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        const int one = 1;
        (void)::setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (accepted >= 0) watch(epoll, accepted, EPOLLIN);
      } else if (!echo(fd)) {
        ::close(fd);
      }
    }
  }
}

int connect_to(std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int one = 1;
  (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  std::perror("echo_bench: connect");
  std::exit(1);
}

void load(std::uint16_t port, int connections, std::size_t bytes, std::chrono::duration<double> time) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const std::string message(bytes, 'x');
  std::vector<std::size_t> missing;
  for (int i = 0; i < connections; ++i) {
    const int fd = connect_to(port);
    watch(epoll, fd, EPOLLIN);
    missing.resize(static_cast<std::size_t>(fd) + 1, bytes);
    (void)::send(fd, message.data(), message.size(), MSG_NOSIGNAL);
  }
  std::uint64_t rounds = 0;
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    std::array<epoll_event, kEvents> events{};
    const int count = ::epoll_wait(epoll, events.data(), kEvents, 100);
    for (int i = 0; i < count; ++i) {
      const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
      const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
      if (got <= 0) {
        (void)std::fprintf(stderr, "echo_bench: a connection ended\n");
        std::exit(1);
      }
      std::size_t& left = missing.at(static_cast<std::size_t>(fd));
      left -= static_cast<std::size_t>(got);
      if (left > 0) continue;
      left = bytes;
      ++rounds;
      (void)::send(fd, message.data(), message.size(), MSG_NOSIGNAL);
    }
  }
  (void)std::printf("%llu\n", static_cast<unsigned long long>(rounds));
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view mode = count > 2 ? arguments[1] : "";
  const auto port = static_cast<std::uint16_t>(count > 2 ? std::atoi(arguments[2]) : 0);
  if (mode == "serve" && count == 3) serve(port, arguments[0]);
  if (mode == "load" && count == 6) {
    load(port, std::atoi(arguments[3]), static_cast<std::size_t>(std::atoi(arguments[4])),
         std::chrono::duration<double>(std::atof(arguments[5])));
    return 0;
  }
  (void)std::fprintf(stderr, "usage: echo_bench serve PORT | load PORT CONNECTIONS BYTES SECONDS\n");
  return 2;
}
