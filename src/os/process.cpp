#include "os/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "os/signals.hpp"

namespace prong::os {

Result<pid_t> fork_child(ChildMain& child) {
  // Whatever lies in stdio's buffers would be written by both (facts.md).
  (void)std::fflush(nullptr);
  sigset_t before;
  (void)pthread_sigmask(SIG_SETMASK, nullptr, &before);
  block_all_signals();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int status = child.run();
    (void)std::fflush(nullptr);
    ::_exit(status);
  }
  const int error = errno;
  (void)pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return failure(system_error("cannot fork", error));
  return pid;
}

std::string ExitStatus::text() const {
  if (!signalled) return fmt::format("exited with status {}", code);
  return fmt::format("killed by signal {} ({}{})", code, signal_name(code), core_dumped ? ", core dumped" : "");
}

std::optional<Exit> find_ended_child() {
  siginfo_t info{};
  if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return std::nullopt;
  return Exit{
      .pid = info.si_pid,
      .status = {
          .signalled = info.si_code != CLD_EXITED, .code = info.si_status, .core_dumped = info.si_code == CLD_DUMPED}};
}

void reap(pid_t pid) {
  (void)::waitpid(pid, nullptr, WNOHANG);  // fails only for what is no child of ours
}

bool is_child(pid_t pid) {
  siginfo_t info{};
  return pid > 0 && ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

Result<void> send_signal(pid_t pid, int signal) {
  if (pid <= 0) return failure(system_error("cannot send a signal to a process without pid", EINVAL));
  if (::kill(pid, signal) == 0 || errno == ESRCH) return {};
  return failure(system_error(fmt::format("cannot send {} to pid {}", signal_name(signal), pid), errno));
}

Result<void> send_signal_to_group(pid_t leader, int signal) {
  if (leader <= 1) return failure(system_error("cannot send a signal to a process group without pid", EINVAL));
  // EPERM: all that is left of it has taken another user (credentials(7)); nothing can be done about them.
  if (::kill(-leader, signal) == 0 || errno == ESRCH || errno == EPERM) return {};
  return failure(system_error(fmt::format("cannot send {} to process group {}", signal_name(signal), leader), errno));
}

Result<void> set_parent_death_signal(int signal) {
  if (::prctl(PR_SET_PDEATHSIG, signal) != 0) return failure(system_error("cannot set the parent death signal", errno));
  return {};
}

bool parent_is(pid_t parent) {
  return ::getppid() == parent;
}

Result<void> close_all_except(std::span<const int> keep) {
  std::vector<int> sorted(keep.begin(), keep.end());
  std::ranges::sort(sorted);
  unsigned int first = 0;
  for (const int fd : sorted) {
    const auto kept = static_cast<unsigned int>(fd);
    if (fd < 0 || kept < first) continue;
    if (kept > first && ::close_range(first, kept - 1, 0) != 0)
      return failure(system_error("cannot close inherited descriptors", errno));
    first = kept + 1;
  }
  if (::close_range(first, UINT_MAX, 0) != 0) return failure(system_error("cannot close inherited descriptors", errno));
  return {};
}

Result<void> open_standard_descriptors() {
  while (true) {
    // Not CLOEXEC: descriptors 0 to 2 are there for every program.
    const int fd = ::open("/dev/null", O_RDWR);  // NOLINT(android-cloexec-open)
    if (fd < 0) return failure(system_error("cannot open /dev/null", errno));
    if (fd <= STDERR_FILENO) continue;
    (void)::close(fd);
    return {};
  }
}

std::string executable_path() {
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
  return size > 0 ? std::string{path.data(), static_cast<std::size_t>(size)} : std::string{};
}

Result<void> set_close_on_exec(int fd, bool on) {
  const int flags = ::fcntl(fd, F_GETFD);
  if (flags < 0 || ::fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC) != 0)
    return failure(system_error(fmt::format("cannot change descriptor {}", fd), errno));
  return {};
}

Result<int> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return failure(system_error(fmt::format("cannot duplicate descriptor {}", fd), errno));
  return copy;
}

std::size_t descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<std::size_t>(limit.rlim_cur);
}

Result<void> raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return failure(system_error("cannot read the limit of descriptors", errno));
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return failure(system_error("cannot raise the limit of descriptors", errno));
  return {};
}

Result<void> set_soft_descriptor_limit(std::size_t value) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return failure(system_error("cannot read the limit of descriptors", errno));
  limit.rlim_cur = std::min<rlim_t>(value, limit.rlim_max);
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return failure(system_error("cannot set the limit of descriptors", errno));
  return {};
}

Result<void> set_resource_limit(int resource, std::string_view name, std::uint64_t value) {
  const rlimit limit{.rlim_cur = value, .rlim_max = value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) == 0) return {};
  const int error = errno;
  return failure(system_error(fmt::format("cannot set rlimit {} to {}", name, value), error,
                              error == EPERM ? "a limit above the hard limit needs CAP_SYS_RESOURCE" : ""));
}

Result<void> become(const Credentials& credentials) {
  // Order matters: groups need privileges that the change of uid gives up (setuid(2)).
  if (::setgroups(credentials.groups.size(), credentials.groups.data()) != 0)
    return failure(system_error("cannot set the supplementary groups", errno));
  if (::setresgid(credentials.gid, credentials.gid, credentials.gid) != 0)
    return failure(system_error(fmt::format("cannot become group {}", credentials.gid), errno));
  if (::setresuid(credentials.uid, credentials.uid, credentials.uid) != 0)
    return failure(system_error(fmt::format("cannot become user {}", credentials.uid), errno));
  return {};
}

Result<void> forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failure(system_error("cannot set no_new_privs", errno));
  return {};
}

namespace {

// The memory of the command line and the environment, one after the other (the kernel lays them out so, proc(5)).
struct TitleArea {
  char* start = nullptr;
  std::size_t size = 0;
  char* environment = nullptr;  // where the environment was moved
};
TitleArea title_area;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): one per process by nature

}  // namespace

void remember_arguments(int argc, char** argv) {
  if (argc == 0) return;
  std::size_t size = 1;  // an environment may be empty
  for (char** entry = environ; *entry != nullptr; ++entry) size += std::strlen(*entry) + 1;
  // One block that is never freed: the C library goes on using the environment until the very end.
  title_area.environment = static_cast<char*>(std::malloc(size));  // NOLINT(cppcoreguidelines-no-malloc)
  if (title_area.environment == nullptr) return;
  char* end = argv[argc - 1] + std::strlen(argv[argc - 1]) + 1;
  char* copy = title_area.environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::size_t length = std::strlen(*entry) + 1;
    if (*entry == end) end += length;
    std::memcpy(copy, *entry, length);
    *entry = std::exchange(copy, copy + length);
  }
  title_area.start = argv[0];
  title_area.size = static_cast<std::size_t>(end - argv[0]);
}

void remember_arguments_of_host() {
  constexpr int kArgStart = 48;  // the field's number; the second one, in brackets, may have blanks
  std::ifstream file{"/proc/self/stat"};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const std::size_t bracket = text.rfind(')');
  if (bracket == std::string::npos) return;
  std::istringstream fields{text.substr(bracket + 1)};
  std::string skipped;
  for (int number = 3; number < kArgStart; ++number) fields >> skipped;
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;
  if (!(fields >> start >> end) || start == 0 || end <= start) return;
  title_area.start = reinterpret_cast<char*>(start);  // NOLINT(performance-no-int-to-ptr): the kernel says a number
  title_area.size = end - start;
}

void set_process_title(std::string_view title) {
  if (title_area.size == 0) return;
  const std::size_t size = std::min(title.size(), title_area.size - 1);
  std::memcpy(title_area.start, title.data(), size);
  std::memset(title_area.start + size, 0, title_area.size - size);
}

}  // namespace prong::os
