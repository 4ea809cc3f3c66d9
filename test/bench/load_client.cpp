// A load generator for the benchmarks, where Python is too slow: blocking sockets, a thread for each client, no
// retries.
//
//   load_client short|keep PORT TARGET THREADS RATE SECONDS
//
// short: a connection for each request. keep: connections are used until the server says that it closes. RATE is the
// requests per second of all threads together, evenly spaced; 0 is as fast as it goes. Prints one line of JSON. A
// request is failed when its answer is not whole or not 200, whatever the reason; of the failed, `refused` are those
// that got no connection, and `late` those whose answer did not come for 10 s.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// A client whose answers come too late for its pace stops asking this long after the end.
constexpr std::chrono::seconds kMostBehind{1};

struct Result {
  std::uint64_t answered = 0;
  std::uint64_t failed = 0;
  std::uint64_t refused = 0;
  std::uint64_t late = 0;
  std::uint64_t connections = 0;
  std::vector<float> milliseconds;
};

class Client {
 public:
  Client(std::uint16_t port, const std::string& target, bool keep)
      : port_(port),
        keep_(keep),
        request_("GET " + target + " HTTP/1.1\r\nHost: bench\r\n" + (keep ? "" : "Connection: close\r\n") + "\r\n") {}
  ~Client() { disconnect(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  [[nodiscard]] bool ask(Result& result) {
    if (fd_ < 0 && !connect_to_server(result)) return false;
    if (::send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request_.size()))
      return give_up();
    std::string head;
    std::size_t end = std::string::npos;
    while ((end = head.find("\r\n\r\n")) == std::string::npos) {
      const ssize_t got = ::recv(fd_, buffer_, sizeof buffer_, 0);
      if (got <= 0) return give_up(got, result);
      head.append(buffer_, static_cast<std::size_t>(got));
    }
    std::size_t have = head.size() - end - 4;
    head.resize(end + 2);
    if (!head.starts_with("HTTP/1.1 200 ")) return give_up();
    const std::size_t at = head.find("\r\nContent-Length: ");
    if (at == std::string::npos) return give_up();
    const std::size_t length = std::strtoull(head.c_str() + at + 18, nullptr, 10);
    while (have < length) {
      const ssize_t got = ::recv(fd_, buffer_, sizeof buffer_, 0);
      if (got <= 0) return give_up(got, result);
      have += static_cast<std::size_t>(got);
    }
    if (!keep_ || head.find("\r\nConnection: close\r\n") != std::string::npos) disconnect();
    return true;
  }

 private:
  bool connect_to_server(Result& result) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    (void)::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    (void)::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      ++result.refused;
      return give_up();
    }
    ++result.connections;
    return true;
  }
  bool give_up(ssize_t got, Result& result) {
    if (got < 0 && errno == EAGAIN) ++result.late;
    return give_up();
  }
  bool give_up() {
    disconnect();
    return false;
  }
  void disconnect() {
    if (fd_ >= 0) (void)::close(fd_);
    fd_ = -1;
  }

  std::uint16_t port_;
  bool keep_;
  std::string request_;
  int fd_ = -1;
  char buffer_[65536];
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr, "usage: load_client short|keep PORT TARGET THREADS RATE SECONDS\n");
    return 2;
  }
  const bool keep = std::string_view{argv[1]} == "keep";
  const auto port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  const int threads = std::atoi(argv[4]);
  const double rate = std::atof(argv[5]);
  const double seconds = std::atof(argv[6]);
  std::vector<Result> results(static_cast<std::size_t>(threads));
  std::vector<std::thread> running;
  const Clock::time_point start = Clock::now() + std::chrono::milliseconds{20};
  const Clock::time_point end = start + std::chrono::microseconds{static_cast<std::int64_t>(seconds * 1e6)};
  for (int number = 0; number < threads; ++number) {
    running.emplace_back([&, number] {
      Client client{port, argv[3], keep};
      Result& result = results[static_cast<std::size_t>(number)];
      std::this_thread::sleep_until(start);
      for (std::uint64_t turn = 0;; ++turn) {
        if (rate > 0) {
          const double due = (static_cast<double>(turn) * threads + number) / rate;
          if (due >= seconds || Clock::now() >= end + kMostBehind) break;
          std::this_thread::sleep_until(start + std::chrono::microseconds{static_cast<std::int64_t>(due * 1e6)});
        } else if (Clock::now() >= end) {
          break;
        }
        const Clock::time_point before = Clock::now();
        if (client.ask(result))
          ++result.answered;
        else
          ++result.failed;
        result.milliseconds.push_back(std::chrono::duration<float, std::milli>(Clock::now() - before).count());
      }
    });
  }
  Result sum;
  for (int number = 0; number < threads; ++number) {
    running[static_cast<std::size_t>(number)].join();
    const Result& one = results[static_cast<std::size_t>(number)];
    sum.answered += one.answered;
    sum.failed += one.failed;
    sum.refused += one.refused;
    sum.late += one.late;
    sum.connections += one.connections;
    sum.milliseconds.insert(sum.milliseconds.end(), one.milliseconds.begin(), one.milliseconds.end());
  }
  std::sort(sum.milliseconds.begin(), sum.milliseconds.end());
  const auto quantile = [&](double share) {
    if (sum.milliseconds.empty()) return 0.0F;
    const auto last = sum.milliseconds.size() - 1;
    return sum.milliseconds[std::min(last, static_cast<std::size_t>(static_cast<double>(last) * share))];
  };
  std::printf(
      "{\"answered\": %llu, \"failed\": %llu, \"refused\": %llu, \"late\": %llu, \"connections\": %llu, \"seconds\": "
      "%.3f, \"median_ms\": %.3f, "
      "\"p99_ms\": %.3f, \"longest_ms\": %.3f}\n",
      static_cast<unsigned long long>(sum.answered), static_cast<unsigned long long>(sum.failed),
      static_cast<unsigned long long>(sum.refused), static_cast<unsigned long long>(sum.late),
      static_cast<unsigned long long>(sum.connections), std::chrono::duration<double>(Clock::now() - start).count(),
      static_cast<double>(quantile(0.5)), static_cast<double>(quantile(0.99)), static_cast<double>(quantile(1.0)));
  return 0;
}
