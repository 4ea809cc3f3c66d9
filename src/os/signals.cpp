#include "os/signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>

namespace prong::os {

namespace {

struct Named {
  int number;
  std::string_view name;
};
constexpr std::array kNames{
    Named{SIGHUP, "SIGHUP"},   Named{SIGINT, "SIGINT"},       Named{SIGQUIT, "SIGQUIT"}, Named{SIGILL, "SIGILL"},
    Named{SIGTRAP, "SIGTRAP"}, Named{SIGABRT, "SIGABRT"},     Named{SIGBUS, "SIGBUS"},   Named{SIGFPE, "SIGFPE"},
    Named{SIGKILL, "SIGKILL"}, Named{SIGUSR1, "SIGUSR1"},     Named{SIGSEGV, "SIGSEGV"}, Named{SIGUSR2, "SIGUSR2"},
    Named{SIGPIPE, "SIGPIPE"}, Named{SIGALRM, "SIGALRM"},     Named{SIGTERM, "SIGTERM"}, Named{SIGCHLD, "SIGCHLD"},
    Named{SIGCONT, "SIGCONT"}, Named{SIGSTOP, "SIGSTOP"},     Named{SIGTSTP, "SIGTSTP"}, Named{SIGTTIN, "SIGTTIN"},
    Named{SIGTTOU, "SIGTTOU"}, Named{SIGXCPU, "SIGXCPU"},     Named{SIGXFSZ, "SIGXFSZ"}, Named{SIGSYS, "SIGSYS"},
    Named{SIGPWR, "SIGPWR"},   Named{SIGSTKFLT, "SIGSTKFLT"}, Named{SIGIO, "SIGIO"},     Named{SIGWINCH, "SIGWINCH"},
    Named{SIGURG, "SIGURG"},   Named{SIGVTALRM, "SIGVTALRM"}, Named{SIGPROF, "SIGPROF"}};

constexpr std::string_view kPrefix = "SIG";

// Where write_caught() writes. A handler has no other way to find anything.
std::atomic<int> caught_reader = -1;   // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)
std::atomic<int> caught_signals = -1;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables)

void write_caught(int number, siginfo_t* info, void* /*context*/) {
  const int saved = errno;
  const ReceivedSignal signal{
      .number = number, .sender_pid = info->si_pid, .sender_uid = info->si_uid, .from_process = info->si_code <= 0};
  // A pipe that is full has told enough already. One write of this size is never torn (pipe(7), PIPE_BUF).
  (void)(::write(caught_signals.load(std::memory_order_relaxed), &signal, sizeof signal) == 0);
  errno = saved;
}

}  // namespace

std::string_view signal_name(int number) {
  for (const Named& entry : kNames)
    if (entry.number == number) return entry.name;
  return number >= SIGRTMIN && number <= SIGRTMAX ? "real-time signal" : "SIG?";
}

std::optional<int> signal_number(std::string_view name) {
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  for (const Named& entry : kNames)
    if (entry.name.substr(kPrefix.size()) == name) return entry.number;
  return std::nullopt;
}

std::vector<std::string_view> signal_names() {
  std::vector<std::string_view> names;
  names.reserve(kNames.size());
  for (const Named& entry : kNames) names.push_back(entry.name.substr(kPrefix.size()));
  return names;
}

void block_all_signals() {
  sigset_t set;
  sigfillset(&set);
  // A fault that is blocked kills the process without its handler (sigprocmask(2), NOTES); sanitizers and crash
  // reports need theirs.
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) sigdelset(&set, number);
  (void)pthread_sigmask(SIG_SETMASK, &set, nullptr);  // fails only for a wrong first argument
}

void unblock_all_signals() {
  sigset_t set;
  sigemptyset(&set);
  (void)pthread_sigmask(SIG_SETMASK, &set, nullptr);
}

void reset_signal_dispositions() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  // KILL and STOP, and glibc's two internal signals, refuse; nothing to be done about them.
  for (int number = 1; number <= SIGRTMAX; ++number) (void)sigaction(number, &action, nullptr);
}

void restore_default(int number) {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  (void)sigaction(number, &action, nullptr);
}

void ignore_signal(int number) {
  struct sigaction action{};
  action.sa_handler = SIG_IGN;
  (void)sigaction(number, &action, nullptr);
}

void catch_signal(int number, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  (void)sigaction(number, &action, nullptr);
}

bool has_handler(int number, void (*handler)(int)) {
  struct sigaction action{};
  return sigaction(number, nullptr, &action) == 0 && (action.sa_flags & SA_SIGINFO) == 0 &&
         action.sa_handler == handler;
}

void reset_caught_signals() {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction action{};
    if (sigaction(number, nullptr, &action) != 0 || (action.sa_flags & SA_SIGINFO) == 0 ||
        action.sa_sigaction != write_caught)
      continue;
    restore_default(number);
  }
}

Result<SignalFd> SignalFd::create(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return create(set);
}

Result<SignalFd> SignalFd::create(const sigset_t& set) {
  UniqueFd fd{::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
  if (!fd.valid()) return failure(system_error("cannot create a signalfd", errno));
  return SignalFd{std::move(fd), Source::kSignalFd};
}

Result<void> catch_to_pipe(std::initializer_list<int> numbers) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    return failure(system_error("cannot create a pipe for signals", errno));
  // The writer lives as long as the process: a handler may use it at any time.
  note_owned(ends[1]);
  caught_reader.store(ends[0], std::memory_order_relaxed);
  caught_signals.store(ends[1], std::memory_order_relaxed);
  for (const int number : numbers) {
    struct sigaction action{};
    action.sa_sigaction = write_caught;
    action.sa_flags = SA_RESTART | SA_SIGINFO;
    (void)sigaction(number, &action, nullptr);
  }
  return {};
}

Result<SignalFd> SignalFd::create_caught() {
  UniqueFd reader{caught_reader.exchange(-1, std::memory_order_relaxed)};
  if (!reader.valid()) return failure("no signals are caught");
  return SignalFd{std::move(reader), Source::kHandler};
}

std::vector<ReceivedSignal> SignalFd::read_handler() const {
  std::vector<ReceivedSignal> received;
  ReceivedSignal signal;
  while (::read(fd_.get(), &signal, sizeof signal) == static_cast<ssize_t>(sizeof signal)) received.push_back(signal);
  return received;
}

std::vector<ReceivedSignal> SignalFd::read() {
  if (source_ == Source::kHandler) return read_handler();
  std::vector<ReceivedSignal> received;
  std::array<signalfd_siginfo, 16> infos{};
  while (true) {
    const ssize_t size = ::read(fd_.get(), infos.data(), sizeof infos);
    if (size <= 0) return received;  // EAGAIN: nothing more
    const auto count = static_cast<std::size_t>(size) / sizeof(signalfd_siginfo);
    for (std::size_t i = 0; i < count; ++i) {
      const signalfd_siginfo& info = infos.at(i);
      received.push_back({.number = static_cast<int>(info.ssi_signo),
                          .sender_pid = static_cast<pid_t>(info.ssi_pid),
                          .sender_uid = info.ssi_uid,
                          .from_process = info.ssi_code <= 0});
    }
  }
}

}  // namespace prong::os
