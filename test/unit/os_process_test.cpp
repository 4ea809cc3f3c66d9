// Forking, reaping, and what a child does to itself.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "forked.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"

namespace prong::os {
namespace {

using test::run_forked;
using test::Told;

class Ends final : public ChildMain {
 public:
  explicit Ends(int status, int signal = 0) : status_(status), signal_(signal) {}
  int run() noexcept override {
    if (signal_ != 0) (void)std::raise(signal_);
    return status_;
  }

 private:
  int status_;
  int signal_;
};

// The exit of a child whose end is sure to come.
Exit reap_one(pid_t pid) {
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  const auto exit = find_ended_child();
  REQUIRE(exit.has_value());
  CHECK(exit->pid == pid);
  reap(pid);
  CHECK_FALSE(find_ended_child().has_value());
  return *exit;
}

std::string open_numbers() {
  std::set<int> numbers;
  {
    const std::filesystem::directory_iterator folder{"/proc/self/fd"};
    for (const auto& entry : folder) numbers.insert(std::stoi(entry.path().filename()));
  }
  std::string text;
  for (const int number : numbers)
    if (::fcntl(number, F_GETFD) >= 0) text += std::to_string(number) + " ";  // not the folder's own
  return text;
}

sigset_t current_mask() {
  sigset_t mask;
  (void)pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  return mask;
}

}  // namespace

TEST_CASE("a child's result is its exit status") {
  for (const int status : {0, 1, 77}) {
    Ends child{status};
    const auto pid = fork_child(child);
    REQUIRE(pid.has_value());
    const ExitStatus exit = reap_one(*pid).status;
    CHECK_FALSE(exit.signalled);
    CHECK(exit.code == status);
  }
}

TEST_CASE("a child that dies of a signal is told with it") {
  Ends child{0, SIGKILL};
  const auto pid = fork_child(child);
  REQUIRE(pid.has_value());
  const ExitStatus exit = reap_one(*pid).status;
  CHECK(exit.signalled);
  CHECK(exit.code == SIGKILL);
  CHECK_FALSE(exit.core_dumped);
}

TEST_CASE("all children that have ended are reaped at once, and then none") {
  std::set<pid_t> pids;
  for (int i = 0; i < 5; ++i) {
    Ends child{i};
    pids.insert(fork_child(child).value());
  }
  for (const pid_t pid : pids) {
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  }
  std::set<pid_t> reaped;
  while (const auto exit = find_ended_child()) {
    // Until it is reaped it can be asked for, and looked at, again.
    REQUIRE(reaped.insert(exit->pid).second);
    CHECK(find_ended_child()->pid == exit->pid);
    reap(exit->pid);
  }
  CHECK(reaped == pids);
}

TEST_CASE("a child that runs is not reaped and not waited for") {
  class Waits final : public ChildMain {
   public:
    explicit Waits(int fd) : fd_(fd) {}
    int run() noexcept override {
      char byte = 0;
      return ::read(fd_, &byte, 1) == 1 ? 0 : 1;
    }

   private:
    int fd_;
  };
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader{ends[0]};
  const UniqueFd writer{ends[1]};
  Waits child{reader.get()};
  const auto pid = fork_child(child);
  REQUIRE(pid.has_value());
  CHECK_FALSE(find_ended_child().has_value());
  REQUIRE(::write(writer.get(), "x", 1) == 1);
  CHECK(reap_one(*pid).status.code == 0);
}

TEST_CASE("what the leader of a process group has started can be ended while the dead leader keeps the number") {
  class Leads final : public ChildMain {
   public:
    explicit Leads(int fd) : fd_(fd) {}
    int run() noexcept override {
      (void)::setsid();
      if (::fork() == 0) {
        char byte = 0;
        return ::read(fd_, &byte, 1) == 0 ? 0 : 1;  // for ever: nobody writes, and it holds the other end itself
      }
      return 0;
    }

   private:
    int fd_;
  };
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader{ends[0]};
  UniqueFd writer{ends[1]};
  Leads child{reader.get()};
  const pid_t pid = fork_child(child).value();
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) == 0);
  REQUIRE(::kill(-pid, 0) == 0);
  CHECK(send_signal_to_group(pid, SIGKILL).has_value());
  reap(pid);
  // Its last holder but us is gone when the end of the pipe comes.
  writer.reset();
  char byte = 0;
  CHECK(::read(reader.get(), &byte, 1) == 0);
}

TEST_CASE("a signal to the group of a child that leads none goes to nobody") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const UniqueFd reader{ends[0]};
  const UniqueFd writer{ends[1]};
  class Waits final : public ChildMain {
   public:
    explicit Waits(int fd) : fd_(fd) {}
    int run() noexcept override {
      char byte = 0;
      return ::read(fd_, &byte, 1) == 1 ? 0 : 1;
    }

   private:
    int fd_;
  };
  Waits child{reader.get()};
  const pid_t pid = fork_child(child).value();
  CHECK(send_signal_to_group(pid, SIGKILL).has_value());
  REQUIRE(::write(writer.get(), "x", 1) == 1);
  CHECK(reap_one(pid).status.code == 0);
  for (const pid_t nobody : {0, 1, -1}) CHECK_FALSE(send_signal_to_group(nobody, SIGTERM).has_value());
}

TEST_CASE("the child begins with signals blocked, and the parent's mask is as before") {
  const sigset_t before = current_mask();
  const Told told = run_forked([](int) {
    const sigset_t mask = current_mask();
    std::string text;
    for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGRTMAX})
      text += sigismember(&mask, number) == 1 ? '1' : '0';
    for (const int number : {SIGSEGV, SIGABRT}) text += sigismember(&mask, number) == 1 ? '1' : '0';
    return text;
  });
  CHECK(told.report == "11111100");
  const sigset_t after = current_mask();
  for (int number = 1; number < SIGRTMAX; ++number) CHECK(sigismember(&after, number) == sigismember(&before, number));
}

TEST_CASE("what waits in stdio's buffer is written once") {
  const UniqueFd file{::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)};
  REQUIRE(file.valid());
  FILE* stream = ::fdopen(::dup(file.get()), "w");
  REQUIRE(stream != nullptr);
  (void)std::fputs("once", stream);
  Ends child{0};
  const auto pid = fork_child(child);
  REQUIRE(pid.has_value());
  (void)reap_one(*pid);
  (void)std::fclose(stream);
  struct stat status{};
  REQUIRE(::fstat(file.get(), &status) == 0);
  CHECK(status.st_size == 4);
}

TEST_CASE("an exit has a text") {
  CHECK(ExitStatus{.signalled = false, .code = 1}.text() == "exited with status 1");
  CHECK(ExitStatus{.signalled = true, .code = SIGKILL}.text() == "killed by signal 9 (SIGKILL)");
  CHECK(ExitStatus{.signalled = true, .code = SIGSEGV, .core_dumped = true}.text() ==
        "killed by signal 11 (SIGSEGV, core dumped)");
}

TEST_CASE("a signal is never sent to a group, to everybody, or to a pid that is none") {
  for (const pid_t pid : {0, -1, -2}) {
    const auto sent = send_signal(pid, 0);
    REQUIRE_FALSE(sent.has_value());
    CHECK(sent.error().error_number == EINVAL);
  }
  CHECK(send_signal(::getpid(), 0).has_value());
}

TEST_CASE("a process that is gone needs no signal") {
  Ends child{0};
  const auto pid = fork_child(child);
  REQUIRE(pid.has_value());
  (void)reap_one(*pid);
  CHECK(send_signal(*pid, SIGTERM).has_value());
}

TEST_CASE("exactly the named descriptors stay open") {
  const Told told = run_forked([](int report) {
    for (int number = 100; number <= 110; ++number) (void)::dup2(report, number);
    // Neither sorted nor unique, and one that is not open.
    if (!close_all_except(std::vector<int>{110, 0, 2, 104, report, 104, 103, 200, -1})) return std::string{"error"};
    return open_numbers() + "report " + std::to_string(report);
  });
  const std::string report = told.report.substr(told.report.find("report ") + 7);
  CHECK(told.report == "0 2 " + report + " 103 104 110 report " + report);
}

TEST_CASE("with nothing to keep, everything is closed") {
  const Told told = run_forked([](int report) {
    const int kept = ::fcntl(report, F_DUPFD_CLOEXEC, 900);
    if (!close_all_except(std::vector<int>{kept})) return std::string{"error"};
    const bool closed = ::fcntl(0, F_GETFD) < 0 && ::fcntl(1, F_GETFD) < 0 && ::fcntl(report, F_GETFD) < 0;
    test::write_all(kept, closed ? "all closed" : "not all");
    return std::string{};
  });
  CHECK(told.report == "all closed");
}

TEST_CASE("standard descriptors that are closed become /dev/null, and the others stay what they are") {
  const Told told = run_forked([](int report) {
    (void)::dup2(report, 1);
    (void)::close(0);
    (void)::close(2);
    const std::string before = open_numbers();
    if (!open_standard_descriptors()) return std::string{"error"};
    struct stat null{};
    struct stat zero{};
    struct stat two{};
    struct stat one{};
    (void)::stat("/dev/null", &null);
    (void)::fstat(0, &zero);
    (void)::fstat(1, &one);
    (void)::fstat(2, &two);
    const bool good = zero.st_rdev == null.st_rdev && two.st_rdev == null.st_rdev && !S_ISCHR(one.st_mode);
    return std::string{good ? "good" : "bad"} + (open_numbers() == "0 1 2 " + before.substr(2) ? "" : " leak");
  });
  CHECK(told.report == "good");
}

TEST_CASE("a duplicate is closed by an exec, and close-on-exec can be switched") {
  const UniqueFd file{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const auto copy = duplicate(file.get());
  REQUIRE(copy.has_value());
  const UniqueFd owned{*copy};
  CHECK(::fcntl(owned.get(), F_GETFD) == FD_CLOEXEC);
  CHECK(set_close_on_exec(owned.get(), false).has_value());
  CHECK(::fcntl(owned.get(), F_GETFD) == 0);
  CHECK(set_close_on_exec(owned.get(), true).has_value());
  CHECK(::fcntl(owned.get(), F_GETFD) == FD_CLOEXEC);
  CHECK_FALSE(duplicate(-1).has_value());
  CHECK_FALSE(set_close_on_exec(-1, true).has_value());
}

TEST_CASE("a process becomes another user for good: groups, gid, uid") {
  if (::geteuid() != 0) {
    WARN("only root can become somebody else");
    return;
  }
  const Told told = run_forked([](int) -> std::string {
    const std::array<gid_t, 2> many{4, 24};
    (void)::setgroups(many.size(), many.data());
    if (auto done = become({.uid = 4711, .gid = 4712, .groups = {}}); !done) return done.error().text();
    uid_t real = 0;
    uid_t effective = 0;
    uid_t saved = 0;
    (void)::getresuid(&real, &effective, &saved);
    gid_t real_group = 0;
    gid_t effective_group = 0;
    gid_t saved_group = 0;
    (void)::getresgid(&real_group, &effective_group, &saved_group);
    std::string text;
    for (const unsigned id : {real, effective, saved, real_group, effective_group, saved_group})
      text += std::to_string(id) + " ";
    text += "groups " + std::to_string(::getgroups(0, nullptr));
    text += ::setuid(0) == 0 ? " back again" : " for good";
    return text;
  });
  CHECK(told.report == "4711 4711 4711 4712 4712 4712 groups 0 for good");
}

TEST_CASE("a process gets the supplementary groups that it is given, and keeps none of its own") {
  if (::geteuid() != 0) {
    WARN("only root can become somebody else");
    return;
  }
  const Told told = run_forked([](int) -> std::string {
    if (auto done = become({.uid = 65534, .gid = 4712, .groups = {4712, 4713}}); !done) return done.error().text();
    std::array<gid_t, 64> groups{};
    const int count = ::getgroups(groups.size(), groups.data());
    return count == 2 && groups[0] == 4712 && groups[1] == 4713 ? "these two" : "others";
  });
  CHECK(told.report == "these two");
}

TEST_CASE("becoming somebody else without the right to is an error") {
  const Told told = run_forked([](int) -> std::string {
    if (::geteuid() == 0 && !become({.uid = 4711, .gid = 4711, .groups = {}})) return "cannot begin";
    const auto done = become({.uid = 4713, .gid = 4713, .groups = {}});
    return done ? "became" : done.error().message;
  });
  CHECK(told.report == "cannot set the supplementary groups: Operation not permitted");
}

TEST_CASE("privileges can be forbidden for good") {
  const Told told = run_forked([](int) -> std::string {
    const bool before = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
    if (!forbid_new_privileges()) return "error";
    return std::to_string(static_cast<int>(before)) + std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
  });
  CHECK(told.report.substr(1) == "1");
}

TEST_CASE("the parent's death signal is set, and a wrong parent is told") {
  const pid_t parent = ::getpid();
  const Told told = run_forked([parent](int) -> std::string {
    if (!set_parent_death_signal(SIGUSR1)) return "error";
    int number = 0;
    (void)::prctl(PR_GET_PDEATHSIG, &number);
    return std::to_string(number) + (parent_is(parent) ? " parent" : " orphan") +
           (parent_is(parent + 1) ? " wrong" : " right");
  });
  CHECK(told.report == std::to_string(SIGUSR1) + " parent right");
}

TEST_CASE("a resource limit is set, soft and hard, and the descriptor limit is what holds") {
  const Told told = run_forked([](int) -> std::string {
    if (!set_resource_limit(RLIMIT_NOFILE, "nofile", 77)) return "error";
    rlimit limit{};
    (void)::getrlimit(RLIMIT_NOFILE, &limit);
    return std::to_string(limit.rlim_cur) + " " + std::to_string(limit.rlim_max) + " " +
           std::to_string(descriptor_limit());
  });
  CHECK(told.report == "77 77 77");
}

TEST_CASE("a limit that may not be raised is told with its name") {
  const Told told = run_forked([](int) -> std::string {
    if (!set_resource_limit(RLIMIT_NOFILE, "nofile", 77)) return "error";
    if (::geteuid() == 0 && !become({.uid = 4711, .gid = 4711, .groups = {}})) return "cannot begin";
    const auto set = set_resource_limit(RLIMIT_NOFILE, "nofile", 78);
    return set ? "set" : set.error().text();
  });
  CHECK_THAT(told.report, Catch::StartsWith("cannot set rlimit nofile to 78: Operation not permitted; "));
}

TEST_CASE("the title is what ps shows, cut to the room that there is") {
  const Told told = run_forked([](int) -> std::string {
    // A command line and an environment that lie one after the other, as the kernel makes them.
    static auto area = std::to_array("prog\0-x\0A=1");
    static std::array<char*, 3> arguments{area.data(), area.data() + 5, nullptr};
    static std::array<char*, 2> environment{area.data() + 8, nullptr};
    environ = environment.data();
    remember_arguments(2, arguments.data());
    set_process_title("a title that is too long");
    const std::string cut{area.data()};
    const std::string variable{::getenv("A") != nullptr ? ::getenv("A") : "(gone)"};
    set_process_title("t");
    return cut + "|" + area.data() + "|" + (area[2] == '\0' && area[10] == '\0' ? "clean" : "dirty") + "|" + variable;
  });
  CHECK(told.report == "a title tha|t|clean|1");
}

}  // namespace prong::os
