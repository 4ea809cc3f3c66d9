// What a worker is after its set-up: exactly the list of child_setup.hpp, seen in a child of the test.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "config/config.hpp"
#include "forked.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "worker/child_setup.hpp"

namespace prong::worker {
namespace {

using test::run_forked;

// Sets a child up as the worker of that pool; its report is what `look` says, or the error. The report's descriptor
// goes as that of the log.
std::string in_worker(const config::PoolConfig& pool, const std::function<std::string(int report)>& look,
                      const std::function<void(ipc::Inheritance&)>& change = {}) {
  auto channel = ipc::Channel::create_pair();
  REQUIRE(channel.has_value());
  ipc::Inheritance inheritance{.pool = "shop",
                               .slot = 1,
                               .generation = 2,
                               .master_pid = ::getpid(),
                               .channel_fd = channel->second.fd(),
                               .listeners = {},
                               .log_fds = {},
                               .scoreboard_fd = -1,
                               .cell = nullptr};
  if (!pool.user.empty() || !pool.group.empty())
    inheritance.identity = os::find_identity(pool.user, pool.group).value();
  if (change) change(inheritance);
  return run_forked([&](int report) -> std::string {
           inheritance.log_fds = {report};
           if (auto done = set_up_child(inheritance, pool); !done) return "error: " + done.error().text();
           return look(report);
         })
      .report;
}

std::set<int> open_numbers() {
  std::set<int> listed;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"})
    listed.insert(std::stoi(entry.path().filename()));
  std::erase_if(listed, [](int number) { return ::fcntl(number, F_GETFD) < 0; });  // the folder's own
  return listed;
}

std::string as_text(const std::set<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += std::to_string(number) + " ";
  return text;
}

}  // namespace

TEST_CASE("a worker has the standard descriptors, its channel, its listeners and its log, and no other") {
  auto channel = ipc::Channel::create_pair();
  auto listener = os::make_socket(AF_INET, SOCK_STREAM);
  REQUIRE((channel && listener));
  // What only the master may have: born without CLOEXEC or with it, low or high.
  const os::UniqueFd secret{::open("/dev/null", O_RDONLY)};
  const os::UniqueFd high{::fcntl(secret.get(), F_DUPFD_CLOEXEC, 700)};
  std::set<int> expected{0, 1, 2, channel->second.fd(), listener->get()};
  const std::string report = in_worker(
      {}, [](int log) { return as_text(open_numbers()) + "log " + std::to_string(log); },
      [&](ipc::Inheritance& inheritance) {
        inheritance.channel_fd = channel->second.fd();
        inheritance.listeners = {{.fd = listener->get(), .number = 0, .address = "x"}};
      });
  expected.insert(std::stoi(report.substr(report.find("log ") + 4)));
  CHECK(report.substr(0, report.find("log ")) == as_text(expected));
}

TEST_CASE("a worker's standard input is /dev/null, its output and errors are the master's") {
  const auto same = [](int fd, const struct stat& as) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 && status.st_ino == as.st_ino && status.st_dev == as.st_dev;
  };
  struct stat null{};
  struct stat out{};
  struct stat err{};
  REQUIRE((::stat("/dev/null", &null) == 0 && ::fstat(1, &out) == 0 && ::fstat(2, &err) == 0));
  CHECK(in_worker({}, [&](int) {
          return std::string{same(0, null) ? "null" : "other"} + (same(1, out) ? " out" : " ?") +
                 (same(2, err) ? " err" : " ?");
        }) == "null out err");
}

TEST_CASE("a worker blocks TERM, which it reads as data, and nothing else") {
  const std::string blocked = in_worker({}, [](int) {
    sigset_t mask;
    (void)pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    std::string text;
    for (int number = 1; number <= SIGRTMAX; ++number)
      if (sigismember(&mask, number) == 1) text += std::to_string(number) + " ";
    return text;
  });
  CHECK(blocked == std::to_string(SIGTERM) + " ");
}

TEST_CASE("a worker ignores what is meant for the master, and inherits no other disposition") {
  // As a careless parent leaves them.
  (void)std::signal(SIGALRM, SIG_IGN);
  (void)std::signal(SIGURG, SIG_IGN);
  const std::string report = in_worker({}, [](int) {
    std::string text;
    for (int number = 1; number < 32; ++number) {
      struct sigaction action{};
      (void)::sigaction(number, nullptr, &action);
      if (action.sa_handler == SIG_IGN)
        text += std::string{os::signal_name(number)} + " ";
      else if (action.sa_handler != SIG_DFL)
        text += "handler of " + std::string{os::signal_name(number)} + " ";
    }
    return text;
  });
  (void)std::signal(SIGALRM, SIG_DFL);
  (void)std::signal(SIGURG, SIG_DFL);
  CHECK(report == "SIGHUP SIGINT SIGQUIT SIGUSR1 SIGUSR2 SIGPIPE SIGTSTP SIGTTIN SIGTTOU SIGXFSZ ");
}

TEST_CASE("a worker asks for a signal at its master's death, which does not end it at once") {
  const std::string report = in_worker({}, [](int) {
    int number = 0;
    (void)::prctl(PR_GET_PDEATHSIG, &number);
    struct sigaction action{};
    (void)::sigaction(number, nullptr, &action);
    return std::string{number > 0 ? "signal" : "none"} +
           (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN ? " handler" : "");
  });
  CHECK(report == "signal handler");
}

TEST_CASE("a worker whose master is gone already does not start") {
  const std::string report = in_worker(
      {}, [](int) { return std::string{"started"}; },
      [](ipc::Inheritance& inheritance) { inheritance.master_pid = ::getpid() + 1; });
  CHECK(report == "error: the master died before the worker had started");
}

TEST_CASE("a worker has the pool's umask") {
  config::PoolConfig pool;
  pool.umask = 0137;
  CHECK(in_worker(pool, [](int) { return std::to_string(::umask(0)); }) == std::to_string(0137));
}

TEST_CASE("a worker has the pool's limits, and those that are not named are the master's") {
  rlimit core{};
  REQUIRE(::getrlimit(RLIMIT_CORE, &core) == 0);
  rlimit memory{};
  REQUIRE(::getrlimit(RLIMIT_AS, &memory) == 0);
  config::PoolConfig pool;
  pool.rlimits.nofile = 123;
  const auto limits = [](int) {
    std::string text;
    for (const __rlimit_resource resource : {RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_AS}) {
      rlimit limit{};
      (void)::getrlimit(resource, &limit);
      text += std::to_string(limit.rlim_cur) + "/" + std::to_string(limit.rlim_max) + " ";
    }
    return text;
  };
  const std::string as_inherited = std::to_string(memory.rlim_cur) + "/" + std::to_string(memory.rlim_max) + " ";
  CHECK(in_worker(pool, limits) ==
        "123/123 " + std::to_string(core.rlim_cur) + "/" + std::to_string(core.rlim_max) + " " + as_inherited);
  pool.rlimits.core = ByteSize{0};
  CHECK(in_worker(pool, limits) == "123/123 0/0 " + as_inherited);
}

TEST_CASE("without a user of its own a worker stays who the master is, but can never gain privileges") {
  CHECK(in_worker({}, [](int) {
          return std::to_string(::getuid()) + " " + std::to_string(::getgid()) + " " +
                 std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        }) == std::to_string(::getuid()) + " " + std::to_string(::getgid()) + " 1");
}

TEST_CASE("a worker becomes the pool's user with its groups, for good, and still hears of its master's death") {
  if (::geteuid() != 0) {
    WARN("only root can become somebody else");
    return;
  }
  config::PoolConfig pool;
  pool.user = "nobody";
  const auto who = [](int) {
    uid_t real = 0;
    uid_t effective = 0;
    uid_t saved = 0;
    (void)::getresuid(&real, &effective, &saved);
    gid_t real_group = 0;
    gid_t effective_group = 0;
    gid_t saved_group = 0;
    (void)::getresgid(&real_group, &effective_group, &saved_group);
    std::array<gid_t, 64> groups{};
    const int count = ::getgroups(groups.size(), groups.data());
    int signal = 0;
    (void)::prctl(PR_GET_PDEATHSIG, &signal);
    std::string text = std::to_string(real) + "," + std::to_string(effective) + "," + std::to_string(saved) + " " +
                       std::to_string(real_group) + "," + std::to_string(effective_group) + "," +
                       std::to_string(saved_group) + " groups";
    for (int i = 0; i < count; ++i) text += " " + std::to_string(groups.at(static_cast<std::size_t>(i)));
    return text + (signal > 0 ? " signal" : " deaf") + (::setuid(0) == 0 ? " back" : "");
  };
  CHECK(in_worker(pool, who) == "65534,65534,65534 65534,65534,65534 groups 65534 signal");
  pool.group = "4711";
  CHECK(in_worker(pool, who) == "65534,65534,65534 4711,4711,4711 groups 4711 signal");
}

TEST_CASE("a group alone changes the group and leaves the user") {
  if (::geteuid() != 0) {
    WARN("only root can become somebody else");
    return;
  }
  config::PoolConfig pool;
  pool.group = "4711";
  CHECK(in_worker(pool, [](int) { return std::to_string(::geteuid()) + " " + std::to_string(::getegid()); }) ==
        "0 4711");
}

TEST_CASE("what cannot be set up is an error that says what") {
  config::PoolConfig other;
  other.rlimits.nofile = std::uint64_t{1} << 60U;  // above fs.nr_open for root, above the hard limit for others
  CHECK_THAT(in_worker(other, [](int) { return std::string{"started"}; }),
             Catch::StartsWith("error: cannot set rlimit nofile to "));
}

}  // namespace prong::worker
