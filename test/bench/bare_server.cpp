// The least that can be called a server: what the kernel alone costs, for `./dev bench http` to hold prongd against. It
// waits, receives, and sends one constant answer; it parses nothing, has no timers, no limits and no errors.
//
//   bare_server keep|close PORT PROCESSES ANSWER_FILE
//
// keep: connections stay open. close: each is closed behind its answer. The processes share one listening socket and
// end with the parent.
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "listen.hpp"

namespace {

constexpr int kEvents = 256;

class Server {
 public:
  Server(int listener, std::string answer, bool keep)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), listener_(listener), answer_(std::move(answer)), keep_(keep) {
    watch(listener_, EPOLLIN | EPOLLEXCLUSIVE);
  }

  [[noreturn]] void run() {
    while (true) {
      std::array<epoll_event, kEvents> events{};
      const int count = ::epoll_wait(epoll_, events.data(), kEvents, -1);
      for (int i = 0; i < count; ++i) {
        const int fd = events.at(static_cast<std::size_t>(i)).data.fd;
        if (fd == listener_)
          accept_one();
        else if (!serve(fd))
          ::close(fd);
      }
    }
  }

 private:
  void watch(int fd, std::uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
  }
  // The request is already there (TCP_DEFER_ACCEPT).
  void accept_one() {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    if (serve(fd) && keep_)
      watch(fd, EPOLLIN);
    else
      ::close(fd);
  }
  // Takes it for granted that a request comes whole and alone.
  bool serve(int fd) {
    if (::recv(fd, buffer_.data(), buffer_.size(), 0) <= 0) return false;
    return ::send(fd, answer_.data(), answer_.size(), MSG_NOSIGNAL) > 0;
  }

  int epoll_;
  int listener_;
  std::string answer_;
  bool keep_;
  std::array<char, 4096> buffer_{};
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    (void)std::fprintf(stderr, "usage: bare_server keep|close PORT PROCESSES ANSWER_FILE\n");
    return 2;
  }
  const int listener = listen_on(static_cast<std::uint16_t>(std::atoi(arguments[2])), SOCK_NONBLOCK, arguments[0]);
  const int one = 1;
  if (::setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one) != 0) {
    std::perror(arguments[0]);
    return 1;
  }
  std::ifstream file(arguments[4], std::ios::binary);
  const std::string answer{std::istreambuf_iterator<char>(file), {}};
  for (int left = std::atoi(arguments[3]); left > 0; --left) {
    if (::fork() != 0) continue;
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    Server(listener, answer, std::string_view(arguments[1]) == "keep").run();
  }
  while (::wait(nullptr) > 0) {
  }
  return 0;
}
