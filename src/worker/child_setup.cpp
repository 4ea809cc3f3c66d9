#include "worker/child_setup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "log/log.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"
#include "os/users.hpp"

namespace prong::worker {
namespace {

// The kernel sends this when the master dies. A real-time signal, so that no application uses it by accident.
int parent_death_signal() {
  return SIGRTMAX - 1;
}

// A worker that is stuck in application code does not read its channel, so it does not notice that the master is gone.
// Then this alarm ends it: SIGALRM with its default disposition. Async-signal-safe: sigaction(2), setitimer(2).
void on_parent_death(int /*number*/) {
  constexpr suseconds_t kLimitUs = 850'000;  // all workers gone within a second, and later than kOrphanGrace
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  (void)::sigaction(SIGALRM, &action, nullptr);
  const itimerval limit{.it_interval = {.tv_sec = 0, .tv_usec = 0}, .it_value = {.tv_sec = 0, .tv_usec = kLimitUs}};
  (void)::setitimer(ITIMER_REAL, &limit, nullptr);
}

void set_dispositions() {
  os::reset_signal_dispositions();
  // Whoever sends one of these to the whole process group, or to every "prongd", means the master. PIPE and XFSZ: a
  // client that closed early, and a file that has reached its limit, are an errno.
  for (const int number : {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGTTIN, SIGTTOU, SIGTSTP, SIGPIPE, SIGXFSZ})
    os::ignore_signal(number);
  struct sigaction action{};
  action.sa_handler = on_parent_death;
  action.sa_flags = SA_RESTART;
  (void)::sigaction(parent_death_signal(), &action, nullptr);
}

// TERM is read from a signalfd; everything else acts.
void set_mask() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  (void)::pthread_sigmask(SIG_SETMASK, &set, nullptr);
}

Result<void> take_standard_input_away() {
  // The terminal's input is the operator's, not an application's.
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0) return failure(system_error("cannot open /dev/null", errno));
  const int copied = ::dup2(null, STDIN_FILENO);
  const int error = errno;
  (void)::close(null);
  if (copied < 0) return failure(system_error("cannot redirect standard input", error));
  return {};
}

Result<void> close_everything_else(const ipc::Inheritance& inheritance) {
  std::vector<int> keep{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, inheritance.channel_fd};
  keep.insert(keep.end(), inheritance.log_fds.begin(), inheritance.log_fds.end());
  if (inheritance.access_log_fd >= 0) keep.push_back(inheritance.access_log_fd);
  for (const ipc::InheritedListener& listener : inheritance.listeners) keep.push_back(listener.fd);
  return os::close_all_except(keep);
}

Result<void> set_rlimits(const config::RlimitsConfig& rlimits) {
  auto descriptors =
      rlimits.nofile ? os::set_resource_limit(RLIMIT_NOFILE, "nofile", *rlimits.nofile) : os::raise_descriptor_limit();
  if (!descriptors) return descriptors;
  if (rlimits.core)
    if (auto set = os::set_resource_limit(RLIMIT_CORE, "core", rlimits.core->bytes); !set) return set;
  if (rlimits.address_space)
    if (auto set = os::set_resource_limit(RLIMIT_AS, "address_space", rlimits.address_space->bytes); !set) return set;
  return {};
}

Result<void> change_user(const config::PoolConfig& pool) {
  if (pool.user.empty() && pool.group.empty()) return {};
  os::Credentials credentials{.uid = ::geteuid(), .gid = ::getegid(), .user_name = {}};
  if (!pool.user.empty()) {
    auto user = os::find_user(pool.user);
    if (!user) return failure(std::move(user.error()));
    credentials = {.uid = user->uid, .gid = user->gid, .user_name = user->name};
  }
  if (!pool.group.empty()) {
    auto group = os::find_group(pool.group);
    if (!group) return failure(std::move(group.error()));
    credentials.gid = *group;
  }
  return os::become(credentials);
}

Result<void> bind_life_to_master(pid_t master) {
  if (auto set = os::set_parent_death_signal(parent_death_signal()); !set) return set;
  if (!os::parent_is(master)) return failure("the master died before the worker had started");
  return {};
}

}  // namespace

Result<void> set_up_child(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  // 1. Whoever looks at a line or at ps knows who it is, from the first error on.
  log::set_subject(
      {.pool = inheritance.pool, .slot = inheritance.slot, .generation = inheritance.generation, .pid = ::getpid()});
  os::set_process_title(
      fmt::format("prongd: {}/worker[{}] gen={}", inheritance.pool, inheritance.slot, inheritance.generation));
  // 2. Dispositions while everything is still blocked: a signal of the first moment meets the right one.
  set_dispositions();
  // 3. Nothing of the master's: not its epoll, not its signalfd, not the channels of siblings.
  if (auto done = close_everything_else(inheritance); !done) return done;
  if (auto done = take_standard_input_away(); !done) return done;
  // 4. Files of the application get the mode that the pool says.
  (void)::umask(static_cast<mode_t>(pool.umask));
  // 5. Limits before the user: raising one needs privileges.
  if (auto done = set_rlimits(pool.rlimits); !done) return done;
  // 6. Groups, gid, uid, in this order; then no program that it runs can get privileges back.
  if (auto done = change_user(pool); !done) return done;
  if (auto done = os::forbid_new_privileges(); !done) return done;
  // 7. After the change of user, which would clear it (prctl(2)).
  if (auto done = bind_life_to_master(inheritance.master_pid); !done) return done;
  // 8. Last: from here on signals arrive.
  set_mask();
  return {};
}

}  // namespace prong::worker
