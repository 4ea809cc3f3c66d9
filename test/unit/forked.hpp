// Parts of a test that must run in a process of their own: what a child does to itself cannot be undone in the test's.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "os/process.hpp"
#include "os/unique_fd.hpp"

namespace prong::test {

// The one limit of everything that a test waits for; nothing takes longer unless it is broken.
inline std::chrono::milliseconds limit() {
  constexpr double kLimitMs = 20'000;
  const char* scale = std::getenv("PRONGD_TEST_TIMEOUT_SCALE");
  return std::chrono::milliseconds{static_cast<long>(kLimitMs * (scale != nullptr ? std::strtod(scale, nullptr) : 1))};
}

// Waits until a descriptor has something to read, or its end. False: the limit is over.
inline bool wait_readable(int fd) {
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&ready, 1, static_cast<int>(limit().count())) == 1;
}

inline std::string read_to_end(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (wait_readable(fd)) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return text + "(the limit of the test is over)";
}

inline void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(fd, text.data(), text.size());
    if (size < 0) return;  // the reader is gone, and with it the test
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

// What a child said, and how it ended.
struct Told {
  std::string report;
  bool signalled = false;
  int code = 0;
};

// Runs `body` in a child, by os::fork_child(). The text that it returns is the report; `report_fd` is where it goes,
// for a body that closes descriptors. Ends the child when it takes too long.
inline Told run_forked(std::function<std::string(int report_fd)> body) {
  class Child final : public os::ChildMain {
   public:
    Child(std::function<std::string(int)> body, int fd) : body_(std::move(body)), fd_(fd) {}
    int run() noexcept override {
      write_all(fd_, body_(fd_));
      return 0;
    }

   private:
    std::function<std::string(int)> body_;
    int fd_;
  };
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
  const os::UniqueFd reader{ends[0]};
  os::UniqueFd writer{ends[1]};
  Child child{std::move(body), writer.get()};
  const auto pid = os::fork_child(child);
  if (!pid) throw std::runtime_error(pid.error().message);
  writer.reset();
  Told told{.report = read_to_end(reader.get())};
  if (told.report.ends_with("limit of the test is over)")) (void)::kill(*pid, SIGKILL);
  int status = 0;
  if (::waitpid(*pid, &status, 0) != *pid) throw std::runtime_error("waitpid");
  told.signalled = WIFSIGNALED(status);
  told.code = told.signalled ? WTERMSIG(status) : WEXITSTATUS(status);
  return told;
}

}  // namespace prong::test
