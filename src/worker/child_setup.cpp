#include "worker/child_setup.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "log/log.hpp"
#include "os/execute.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"

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

// For a signal that is to do nothing here and to have its default disposition in a program that this process becomes:
// one that is caught gets it from execve(2), one that is ignored would stay ignored.
void take_no_notice(int /*number*/) {}

// Whoever sends one of these to the whole process group, or to every "prongd", means the master. PIPE and XFSZ: a
// client that closed early, and a file that has reached its limit, are an errno.
constexpr std::array kOfNoConcern{SIGINT,  SIGQUIT, SIGHUP,  SIGUSR1, SIGUSR2,
                                  SIGTTIN, SIGTTOU, SIGTSTP, SIGPIPE, SIGXFSZ};

void set_dispositions(const config::PoolConfig& pool) {
  os::reset_signal_dispositions();
  const bool becomes_program = std::holds_alternative<config::ExecConfig>(pool.app);
  for (const int number : kOfNoConcern)
    becomes_program ? os::catch_signal(number, take_no_notice) : os::ignore_signal(number);
  os::catch_signal(parent_death_signal(), on_parent_death);
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
  if (inheritance.stderr_fd >= 0) keep.push_back(inheritance.stderr_fd);
  if (inheritance.launcher_fd >= 0) keep.push_back(inheritance.launcher_fd);
  if (inheritance.stack_fd >= 0) keep.push_back(inheritance.stack_fd);
  if (inheritance.scoreboard_fd >= 0) keep.push_back(inheritance.scoreboard_fd);
  if (inheritance.access_log_fd >= 0) keep.push_back(inheritance.access_log_fd);
  if (inheritance.control_fd >= 0) keep.push_back(inheritance.control_fd);
  for (const ipc::InheritedListener& listener : inheritance.listeners) keep.push_back(listener.fd);
  return os::close_all_except(keep);
}

// A program gets the soft limit of descriptors that the master was started with: it may be one that uses select(2).
Result<void> set_descriptor_limit(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  if (pool.rlimits.nofile) return os::set_resource_limit(RLIMIT_NOFILE, "nofile", *pool.rlimits.nofile);
  if (std::holds_alternative<config::ExecConfig>(pool.app))
    return inheritance.descriptor_limit > 0 ? os::set_soft_descriptor_limit(inheritance.descriptor_limit)
                                            : Result<void>{};
  return os::raise_descriptor_limit();
}

Result<void> set_rlimits(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  if (auto set = set_descriptor_limit(inheritance, pool); !set) return set;
  const config::RlimitsConfig& rlimits = pool.rlimits;
  if (rlimits.core)
    if (auto set = os::set_resource_limit(RLIMIT_CORE, "core", rlimits.core->bytes); !set) return set;
  if (rlimits.address_space)
    if (auto set = os::set_resource_limit(RLIMIT_AS, "address_space", rlimits.address_space->bytes); !set) return set;
  return {};
}

Result<void> change_user(const std::optional<os::Identity>& identity) {
  if (!identity) return {};
  return os::become({.uid = identity->user.uid, .gid = identity->user.gid, .groups = identity->groups});
}

// The setting survives an exec, so that a program gets the signal that stops it.
int death_signal_of(const config::PoolConfig& pool) {
  const auto* exec = std::get_if<config::ExecConfig>(&pool.app);
  return exec == nullptr ? parent_death_signal() : os::signal_number(exec->stop_signal).value_or(SIGTERM);
}

Result<void> bind_life_to_master(pid_t master, int death_signal) {
  if (auto set = os::set_parent_death_signal(death_signal); !set) return set;
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
  set_dispositions(pool);
  // 3. Nothing of the master's: not its epoll, not its signalfd, not the channels of siblings.
  if (auto done = close_everything_else(inheritance); !done) return done;
  if (auto done = take_standard_input_away(); !done) return done;
  // 4. What a program starts belongs to it: its process group, which is ours, is what the master stops as a whole.
  if (std::holds_alternative<config::ExecConfig>(pool.app))
    if (auto done = os::start_session(); !done) return done;
  // 5. Files of the application get the mode that the pool says.
  (void)::umask(static_cast<mode_t>(pool.umask));
  // 6. Limits before the user: raising one needs privileges.
  if (auto done = set_rlimits(inheritance, pool); !done) return done;
  // 7. Groups, gid, uid, in this order; then no program that it runs can get privileges back.
  if (auto done = change_user(inheritance.identity); !done) return done;
  if (auto done = os::forbid_new_privileges(); !done) return done;
  // 8. After the change of user, which would clear it (prctl(2)).
  if (auto done = bind_life_to_master(inheritance.master_pid, death_signal_of(pool)); !done) return done;
  // 9. Last: from here on signals arrive.
  set_mask();
  return {};
}

Result<void> set_up_host(const ipc::Inheritance& inheritance, const config::PoolConfig& /*pool*/) {
  log::set_subject(
      {.pool = inheritance.pool, .slot = inheritance.slot, .generation = inheritance.generation, .pid = ::getpid()});
  os::set_process_title(
      fmt::format("prongd: {}/worker[{}] gen={}", inheritance.pool, inheritance.slot, inheritance.generation));
  // An interpreter has its own way with PIPE and XFSZ, and undoes it in programs that it starts.
  for (const int number : kOfNoConcern)
    if (number != SIGPIPE && number != SIGXFSZ) os::catch_signal(number, take_no_notice);
  os::catch_signal(parent_death_signal(), on_parent_death);
  if (auto caught = os::catch_to_pipe({SIGTERM}); !caught) return caught;
  os::unblock_all_signals();
  return {};
}

void reset_dispositions_of_children() {
  for (const int number : kOfNoConcern)
    if (os::has_handler(number, take_no_notice)) os::restore_default(number);
  if (os::has_handler(parent_death_signal(), on_parent_death)) os::restore_default(parent_death_signal());
}

}  // namespace prong::worker
