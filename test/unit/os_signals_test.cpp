// Signals as data.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>

#include "forked.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"

namespace prong::os {

TEST_CASE("every signal has its name") {
  for (int number = 1; number < 32; ++number) {
    // glibc says POLL and IO to the same number, and so do we.
    const std::string name = number == SIGIO ? "SIGIO" : std::string{"SIG"} + sigabbrev_np(number);
    CHECK(signal_name(number) == name);
    CHECK(signal_number(name) == number);
    CHECK(signal_number(name.substr(3)) == number);
    CHECK(std::ranges::count(signal_names(), name.substr(3)) == 1);
  }
}

TEST_CASE("a text that names no signal has no number") {
  for (const char* name : {"", "SIG", "term", "SIGTERMS", "15"}) CHECK(signal_number(name) == std::nullopt);
}

TEST_CASE("a number that is no signal has no name, and real-time signals share one") {
  CHECK(signal_name(0) == "SIG?");
  CHECK(signal_name(-1) == "SIG?");
  CHECK(signal_name(65) == "SIG?");
  CHECK(signal_name(SIGRTMIN) == "real-time signal");
  CHECK(signal_name(SIGRTMAX) == "real-time signal");
}

TEST_CASE("a signal arrives as data, with who sent it") {
  const pid_t parent = ::getpid();
  const test::Told told = test::run_forked([parent](int) -> std::string {
    block_all_signals();
    auto signals = SignalFd::create({SIGTERM, SIGHUP});
    if (!signals) return signals.error().text();
    if (!signals->read().empty()) return "not empty at first";
    (void)::kill(::getpid(), SIGTERM);
    (void)std::raise(SIGHUP);
    const auto received = signals->read();
    if (received.size() != 2) return std::to_string(received.size()) + " signals";
    std::string text;
    for (const ReceivedSignal& signal : received) {
      text += std::string{signal_name(signal.number)} + (signal.sender_pid == ::getpid() ? " own" : " other") +
              (signal.sender_uid == ::getuid() ? " uid" : " ?") + (signal.from_process ? " process, " : " kernel, ");
    }
    return text + (signals->read().empty() ? "empty" : "more") + (parent == ::getppid() ? "" : " orphan");
  });
  CHECK(told.report == "SIGHUP own uid process, SIGTERM own uid process, empty");
}

TEST_CASE("a child's end comes from the kernel") {
  const test::Told told = test::run_forked([](int) -> std::string {
    class Leaves final : public ChildMain {
      int run() noexcept override { return 0; }
    } child;
    block_all_signals();
    auto signals = SignalFd::create({SIGCHLD});
    if (!signals) return "error";
    const auto pid = fork_child(child);
    if (!pid || !test::wait_readable(signals->fd())) return "nothing came";
    const auto received = signals->read();
    if (const auto exit = find_ended_child()) reap(exit->pid);
    if (received.size() != 1 || received[0].number != SIGCHLD) return "not SIGCHLD";
    return received[0].from_process ? "process" : "kernel";
  });
  CHECK(told.report == "kernel");
}

TEST_CASE("a signalfd is closed by an exec and never blocks") {
  const auto signals = SignalFd::create({SIGUSR2});
  REQUIRE(signals.has_value());
  CHECK((::fcntl(signals->fd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(signals->fd(), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("blocking leaves out what reports a bug, and unblocking empties the mask") {
  const test::Told told = test::run_forked([](int) {
    sigset_t mask;
    std::string text;
    block_all_signals();
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    for (const int number : {SIGTERM, SIGALRM, SIGPIPE, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT})
      text += sigismember(&mask, number) == 1 ? '1' : '0';
    unblock_all_signals();
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    bool any = false;
    for (int number = 1; number <= SIGRTMAX; ++number) any = any || sigismember(&mask, number) == 1;
    return text + (any ? " some" : " none");
  });
  CHECK(told.report == "1110000000 none");
}

TEST_CASE("dispositions are reset, and one signal can be ignored") {
  const test::Told told = test::run_forked([](int) {
    (void)std::signal(SIGUSR1, SIG_IGN);
    (void)std::signal(SIGTERM, [](int) {});
    reset_signal_dispositions();
    std::string text;
    for (int number = 1; number < SIGRTMIN; ++number) {
      struct sigaction action{};
      if (number >= 32 || ::sigaction(number, nullptr, &action) != 0) continue;
      if (action.sa_handler != SIG_DFL) text += std::string{signal_name(number)} + " ";
    }
    ignore_signal(SIGPIPE);
    struct sigaction action{};
    (void)::sigaction(SIGPIPE, nullptr, &action);
    return text + (action.sa_handler == SIG_IGN ? "ignored" : "not ignored");
  });
  CHECK(told.report == "ignored");
}

}  // namespace prong::os
