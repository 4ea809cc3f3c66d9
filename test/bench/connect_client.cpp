// A client of services that run a program for each connection: connects, says a line, takes the time to the first byte
// that comes back, ends its side and reads to the end. Blocking sockets, a thread for each client, no retries.
//
//   connect_client PORT THREADS RATE SECONDS
//
// RATE is the connections per second of all threads together, evenly spaced; 0 is as fast as it goes. Prints one line
// of JSON: what went well and what did not, and the times in microseconds, sorted.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Result {
  std::vector<double> first_byte_us;
  std::size_t failed = 0;
};

// The time to the first byte; below 0 when it failed.
double one_connection(int port) {
  const Clock::time_point start = Clock::now();
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  char buffer[256];
  double took = -1;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::send(fd, "hello\n", 6, MSG_NOSIGNAL) == 6 && ::recv(fd, buffer, sizeof buffer, 0) > 0) {
    took = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
    (void)::shutdown(fd, SHUT_WR);
    ssize_t size = 0;
    while ((size = ::recv(fd, buffer, sizeof buffer, 0)) > 0) {
    }
    if (size < 0) took = -1;
  }
  (void)::close(fd);
  return took;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  const int port = std::atoi(argv[1]);
  const int threads = std::atoi(argv[2]);
  const double rate = std::atof(argv[3]);
  const double seconds = std::atof(argv[4]);
  std::vector<Result> results(static_cast<std::size_t>(threads));
  std::vector<std::thread> clients;
  const Clock::time_point start = Clock::now();
  const auto after = [&](double s) {
    return start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  for (int number = 0; number < threads; ++number)
    clients.emplace_back([&, number] {
      Result& result = results[static_cast<std::size_t>(number)];
      for (long turn = 0;; ++turn) {
        if (rate > 0) {
          const double due = (static_cast<double>(turn) * threads + number) / rate;
          if (due > seconds) return;
          std::this_thread::sleep_until(after(due));
        } else if (Clock::now() > after(seconds)) {
          return;
        }
        const double took = one_connection(port);
        if (took < 0)
          ++result.failed;
        else
          result.first_byte_us.push_back(took);
      }
    });
  for (std::thread& client : clients) client.join();
  const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  std::vector<double> all;
  std::size_t failed = 0;
  for (const Result& result : results) {
    all.insert(all.end(), result.first_byte_us.begin(), result.first_byte_us.end());
    failed += result.failed;
  }
  std::sort(all.begin(), all.end());
  std::printf("{\"done\": %zu, \"failed\": %zu, \"seconds\": %.3f, \"first_byte_us\": [", all.size(), failed, elapsed);
  for (std::size_t i = 0; i < all.size(); ++i) std::printf("%s%.0f", i == 0 ? "" : ",", all[i]);
  std::puts("]}");
  return 0;
}
