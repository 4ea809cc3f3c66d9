// Signals as data: blocked, and read from a signalfd in the loop.
#pragma once

#include <sys/signalfd.h>
#include <sys/types.h>

#include <csignal>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

// "SIGTERM"; "SIG?" for a number that has no name.
[[nodiscard]] std::string_view signal_name(int number);
// The number of a signal of that name, with or without "SIG": "TERM". Nothing for a name that is not known.
[[nodiscard]] std::optional<int> signal_number(std::string_view name);
// All names that signal_number() knows, without "SIG".
[[nodiscard]] std::vector<std::string_view> signal_names();

// What a signalfd told: which signal, and who sent it (0 when the kernel did).
struct ReceivedSignal {
  int number = 0;
  pid_t sender_pid = 0;
  uid_t sender_uid = 0;
  bool from_process = false;  // kill(2), sigqueue(3) or tgkill(2), rather than the kernel
};

// Blocks every signal in this thread except those that report a bug at once (SEGV, BUS, FPE, ILL, TRAP, SYS, ABRT).
void block_all_signals();
// An empty mask: what a program expects to find after exec.
void unblock_all_signals();

// SIG_DFL for every signal. Ignored signals survive execve(2) and masks survive fork(2), so both have to be undone.
void reset_signal_dispositions();
void restore_default(int number);
void ignore_signal(int number);
// Whether that is what happens at the signal now.
[[nodiscard]] bool has_handler(int number, void (*handler)(int));
// Calls `handler`, which may call only async-signal-safe functions; system calls that it interrupts go on (SA_RESTART).
void catch_signal(int number, void (*handler)(int));

// For a process whose code starts others, which would inherit blocked signals: the signals, which may be unblocked in
// any thread, are caught, and their handler writes them to a pipe that SignalFd::create_caught() reads. Once in a
// process.
[[nodiscard]] Result<void> catch_to_pipe(std::initializer_list<int> numbers);
// Gives the signals of catch_to_pipe() their default disposition: in a child that the application forks.
// Async-signal-safe.
void reset_caught_signals();

class SignalFd {
 public:
  // A non-blocking signalfd for these signals, which must be blocked.
  [[nodiscard]] static Result<SignalFd> create(std::initializer_list<int> numbers);
  [[nodiscard]] static Result<SignalFd> create(const sigset_t& set);
  // What catch_to_pipe() catches. Once in a process.
  [[nodiscard]] static Result<SignalFd> create_caught();

  // All that is pending; empty when nothing is. Does not block.
  [[nodiscard]] std::vector<ReceivedSignal> read();
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  enum class Source : unsigned char { kSignalFd, kHandler };
  SignalFd(UniqueFd fd, Source source) : fd_(std::move(fd)), source_(source) {}
  [[nodiscard]] std::vector<ReceivedSignal> read_handler() const;
  UniqueFd fd_;
  Source source_;
};

}  // namespace prong::os
