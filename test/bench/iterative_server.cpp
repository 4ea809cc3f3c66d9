// The server that everybody writes first: accept, read the request, answer, close, and only then the next client. It is
// the baseline of `./dev bench models`, which shows what it fails at: while one client is slow, all others wait.
//
//   iterative_server PORT
//
// Answers the paths of prongd-trial that the benchmark asks for: / at once, /sleep?ms=N after that time, /burn?ms=N
// after using the CPU for that time.
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <string_view>
#include <thread>

#include "listen.hpp"

namespace {

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

// Up to the end of the head; empty when the client leaves before.
std::string read_request(int client) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::recv(client, buffer, sizeof buffer, 0);
    if (got <= 0) return {};
    request.append(buffer, static_cast<std::size_t>(got));
  }
  return request;
}

void work(std::string_view request) {
  const std::size_t at = request.find("?ms=");
  const long ms = at == std::string_view::npos ? 0 : std::strtol(request.data() + at + 4, nullptr, 10);
  if (request.starts_with("GET /sleep")) std::this_thread::sleep_for(std::chrono::milliseconds(ms));
  if (!request.starts_with("GET /burn")) return;
  const std::clock_t end = std::clock() + ms * (CLOCKS_PER_SEC / 1000);
  while (std::clock() < end) {
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    (void)std::fprintf(stderr, "usage: iterative_server PORT\n");
    return 2;
  }
  const int listener = listen_on(static_cast<std::uint16_t>(std::atoi(arguments[1])), 0, arguments[0]);
  while (true) {
    const int client = ::accept(listener, nullptr, nullptr);
    const std::string request = read_request(client);
    if (!request.empty()) {
      work(request);
      (void)::send(client, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    }
    ::close(client);
  }
}
