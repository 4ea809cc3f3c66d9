// Processes: the one fork() of the code, reaping, killing, and what a child does to itself.
#pragma once

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace prong::os {

// What runs in the child; its result is the exit status. Must not throw (noexcept: std::terminate is an abort, which
// the obituary tells).
class ChildMain {
 public:
  ChildMain() = default;
  ChildMain(const ChildMain&) = delete;
  ChildMain& operator=(const ChildMain&) = delete;
  virtual ~ChildMain() = default;
  [[nodiscard]] virtual int run() noexcept = 0;
};

// The only fork() in the code. Flushes stdio, blocks all signals around the fork and leaves them blocked in the child,
// which runs child.run() and ends by _exit(): no destructor and no atexit function of the parent runs twice.
[[nodiscard]] Result<pid_t> fork_child(ChildMain& child);

// A child that is gone, as wait(2) tells it.
struct ExitStatus {
  bool signalled = false;
  int code = 0;  // the exit status, or the signal's number
  bool core_dumped = false;
  // "exited with status 1", "killed by signal 9 (SIGKILL)", "killed by signal 11 (SIGSEGV, core dumped)"
  [[nodiscard]] std::string text() const;
};
struct Exit {
  pid_t pid = 0;
  ExitStatus status;
};

// A child that has ended and is not reaped yet; nothing when there is none. Until reap() its pid, which is also that of
// a process group that it leads, is not given to another process. Does not block.
[[nodiscard]] std::optional<Exit> find_ended_child();
void reap(pid_t pid);
// Whether it is a child of this process, alive or not reaped yet.
[[nodiscard]] bool is_child(pid_t pid);

// Sends a signal to a child that has not been reaped; pid must be above 0. ESRCH is no error: it is just ending.
[[nodiscard]] Result<void> send_signal(pid_t pid, int signal);
// The same to everything in the process group that the child leads. A child that leads none gets nothing.
[[nodiscard]] Result<void> send_signal_to_group(pid_t leader, int signal);

// Asks the kernel for `signal` when the parent dies (PR_SET_PDEATHSIG). The setting is lost when the uid or gid
// changes, so call it after those (prctl(2)).
[[nodiscard]] Result<void> set_parent_death_signal(int signal);
// True when the parent is (still) `parent`: the check that closes the race of set_parent_death_signal().
[[nodiscard]] bool parent_is(pid_t parent);

// Closes every descriptor except those named. `keep` need not be sorted.
[[nodiscard]] Result<void> close_all_except(std::span<const int> keep);
// Makes 0, 1 and 2 /dev/null where they are closed, so that no socket can become "standard error".
[[nodiscard]] Result<void> open_standard_descriptors();
// The program that this process runs (/proc/self/exe).
[[nodiscard]] std::string executable_path();

// Sets or clears FD_CLOEXEC.
[[nodiscard]] Result<void> set_close_on_exec(int fd, bool on);
// A duplicate with CLOEXEC.
[[nodiscard]] Result<int> duplicate(int fd);

// The number of descriptors that this process may open (RLIMIT_NOFILE, soft).
[[nodiscard]] std::size_t descriptor_limit();
// Raises RLIMIT_NOFILE's soft limit to its hard limit. The soft one is low only for the sake of programs that use
// select(2) (systemd.exec(5), LimitNOFILE=).
[[nodiscard]] Result<void> raise_descriptor_limit();
// Sets the soft limit alone, to at most the hard one.
[[nodiscard]] Result<void> set_soft_descriptor_limit(std::size_t value);
// Sets soft and hard limit. Raising the hard limit needs CAP_SYS_RESOURCE; see setrlimit(2) for resource numbers.
[[nodiscard]] Result<void> set_resource_limit(int resource, std::string_view name, std::uint64_t value);

// Groups, gid, uid, in this order, for good.
struct Credentials {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // all supplementary ones
};
[[nodiscard]] Result<void> become(const Credentials& credentials);
[[nodiscard]] Result<void> forbid_new_privileges();

// What ps(1) shows. remember_arguments() is called once, first thing in main(); it moves the environment away so that
// the title can be longer than the command line was. set_process_title() cuts what does not fit.
void remember_arguments(int argc, char** argv);
void set_process_title(std::string_view title);
// The same for code that another program has loaded: finds its command line (proc(5), /proc/pid/stat) and leaves its
// environment where it is.
void remember_arguments_of_host();

}  // namespace prong::os
