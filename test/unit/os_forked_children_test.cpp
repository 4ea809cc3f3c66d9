// A child that hosted code forks: our descriptors and our handlers are not its own.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <utility>

#include "os/forked_children.hpp"
#include "os/signals.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {
namespace {

constexpr int kAllHold = 7;

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

bool has_default(int number) {
  struct sigaction action{};
  return ::sigaction(number, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler == SIG_DFL;
}

int status_of(pid_t child) {
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

// All of it in a process of its own: it is once in a process.
TEST_CASE("a forked child has neither our descriptors nor our signals, and its parent keeps both") {
  const pid_t worker = ::fork();
  REQUIRE(worker >= 0);
  if (worker == 0) {
    const int foreign = ::open("/dev/null", O_RDONLY);
    isolate_forked_children([] { ignore_signal(SIGUSR2); });
    const UniqueFd ours{::open("/dev/null", O_RDONLY)};
    UniqueFd given_up{::open("/dev/null", O_RDONLY)};
    const int released = given_up.release();
    UniqueFd moved{::open("/dev/null", O_RDONLY)};
    const UniqueFd target = std::move(moved);
    const bool caught = catch_to_pipe({SIGTERM}).has_value();
    auto signals = SignalFd::create_caught();
    if (!caught || !signals || has_default(SIGTERM)) ::_exit(1);
    const pid_t child = ::fork();
    if (child == 0) {
      struct sigaction action{};
      (void)::sigaction(SIGUSR2, nullptr, &action);
      const bool holds = is_open(foreign) && is_open(released) && !is_open(ours.get()) && !is_open(target.get()) &&
                         !is_open(signals->fd()) && has_default(SIGTERM) && action.sa_handler == SIG_IGN;
      ::_exit(holds ? kAllHold : 2);
    }
    int status = 0;
    (void)::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != kAllHold) ::_exit(3);
    (void)::raise(SIGTERM);
    const auto received = signals->read();
    const bool holds = is_open(ours.get()) && is_open(target.get()) && received.size() == 1 &&
                       received.front().number == SIGTERM && received.front().sender_pid == ::getpid();
    ::_exit(holds ? kAllHold : 4);
  }
  CHECK(status_of(worker) == kAllHold);
}

}  // namespace prong::os
