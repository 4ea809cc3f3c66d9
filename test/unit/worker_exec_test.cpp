// Workers of exec pools, with the test as their master.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <variant>

#include "config/config.hpp"
#include "forked.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"
#include "ipc/worker_reading.hpp"
#include "net/address.hpp"
#include "net/listener.hpp"
#include "os/execute.hpp"
#include "os/process.hpp"
#include "worker/application.hpp"
#include "worker/exec_listener.hpp"
#include "worker/worker.hpp"

namespace prong::worker {
namespace {

using ipc::Channel;

os::UniqueFd connect_to(const net::Listener& listener) {
  const os::SocketAddress address = os::local_address(listener.descriptors().at(0)).value();
  os::UniqueFd client{::socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (!os::connect_socket(client.get(), address)) throw std::runtime_error("connect");
  return client;
}

// A worker of a pool with one listener, its channel and the pipe of its standard error.
class Worker {
 public:
  explicit Worker(config::ExecConfig exec) {
    auto channel = Channel::create_pair();
    auto cells = ipc::CellPage::create();
    std::array<int, 2> pipe{};
    if (!channel || !cells || ::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("worker");
    cells_ = *std::move(cells);
    errors_.reset(pipe[0]);
    const os::UniqueFd write_end{pipe[1]};
    config::PoolConfig pool;
    pool.name = "shop";
    pool.app = std::move(exec);
    const ipc::Inheritance inheritance{
        .pool = "shop",
        .slot = 1,
        .generation = 2,
        .master_pid = ::getpid(),
        .channel_fd = channel->second.fd(),
        .listeners = {{.fd = listener_.descriptors().at(0), .number = 0, .address = "127.0.0.1:80"}},
        .log_fds = {},
        .stderr_fd = write_end.get(),
        .notify_address = "@notify",
        .cell = &cells_->cell()};
    class Child final : public os::ChildMain {
     public:
      Child(const ipc::Inheritance& inheritance, const config::PoolConfig& pool)
          : inheritance_(&inheritance), pool_(&pool) {}
      int run() noexcept override {
        return worker::run(*inheritance_, *pool_, {.application = load_application, .streams = load_streams});
      }

     private:
      const ipc::Inheritance* inheritance_;
      const config::PoolConfig* pool_;
    } child{inheritance, pool};
    pid_ = os::fork_child(child).value();
    channel_ = std::move(channel->first);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    if (pid_ > 0) (void)::kill(pid_, SIGKILL);
    (void)wait();
  }

  // The next message; nothing at the end of the channel.
  std::optional<ipc::Message> next() {
    while (test::wait_readable(channel_.fd())) {
      auto received = channel_.receive();
      if (received.kind == Channel::Kind::kMessage) return std::move(received.message);
      if (received.kind == Channel::Kind::kEnd) return std::nullopt;
    }
    return std::nullopt;
  }
  template <class Message>
  bool says() {
    const auto message = next();
    return message && std::holds_alternative<Message>(*message);
  }
  void tell(const ipc::Message& message) { REQUIRE(channel_.send(message).has_value()); }
  // "exited with status 0"
  std::string wait() {
    int status = 0;
    if (pid_ <= 0 || ::waitpid(pid_, &status, 0) != pid_) return "gone";
    pid_ = 0;
    return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                               : "status " + std::to_string(WEXITSTATUS(status));
  }
  os::UniqueFd connect() { return connect_to(listener_); }
  std::string errors() { return test::read_to_end(errors_.get()); }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] ipc::WorkerCounts counts() const { return ipc::counts_of(cells_->cell()); }

 private:
  net::Listener listener_ = net::Listener::open(net::parse_address("127.0.0.1:0").value(), {}).value();
  std::optional<ipc::CellPage> cells_;
  os::UniqueFd errors_;
  Channel channel_;
  pid_t pid_ = 0;
};

config::ExecConfig shell(const std::string& script) {
  return {.command = {"/bin/sh", "-c", script}};
}

}  // namespace

TEST_CASE("a spare worker becomes the program of the connection that comes") {
  Worker worker{shell(R"(read line; echo "got $line"; echo "$PROTO $TCPREMOTEIP" >&2)")};
  REQUIRE(worker.says<ipc::Ready>());
  worker.tell(ipc::Serve{});
  const os::UniqueFd client = worker.connect();
  const auto taken = worker.next();
  REQUIRE(taken.has_value());
  CHECK(std::get<ipc::Taken>(*taken).address == "127.0.0.1");
  CHECK(worker.next() == std::nullopt);
  test::write_all(client.get(), "hello\n");
  CHECK(test::read_to_end(client.get()) == "got hello\n");
  CHECK(worker.errors() == "TCP 127.0.0.1\n");
  CHECK(worker.wait() == "status 0");
  CHECK(worker.counts().connections == 1);
}

TEST_CASE("a program starts with its descriptors, an empty mask and default dispositions, in its own session") {
  Worker worker{
      shell("ls -l /proc/self/fd | grep -c . ; ls /proc/self/fd | tr '\\n' ' '; grep -E '^Sig(Blk|Ign|Cgt)' "
            "/proc/self/status; cut -d' ' -f1,5,6 /proc/$$/stat; pwd")};
  REQUIRE(worker.says<ipc::Ready>());
  worker.tell(ipc::Serve{});
  const os::UniqueFd client = worker.connect();
  const std::string report = test::read_to_end(client.get());
  CAPTURE(report);
  CHECK(report.contains("0 1 2 3 Sig"));  // 3: ls itself
  CHECK(report.contains("SigBlk:\t0000000000000000\n"));
  CHECK(report.contains("SigIgn:\t0000000000000000\n"));
  const std::string pid = std::to_string(worker.pid());
  CHECK(report.contains(std::string{"\n"}.append(pid).append(" ").append(pid).append(" ").append(pid).append("\n/\n")));
}

TEST_CASE("a spare worker that is told to stop ends, and takes a connection that it may be the only one to know of") {
  Worker idle{shell("true")};
  REQUIRE(idle.says<ipc::Ready>());
  idle.tell(ipc::Serve{});
  idle.tell(ipc::Stop{.grace = Duration{1'000}});
  CHECK(idle.next() == std::nullopt);
  CHECK(idle.wait() == "status 0");

  Worker busy{shell("echo served")};
  REQUIRE(busy.says<ipc::Ready>());
  REQUIRE(::kill(busy.pid(), SIGSTOP) == 0);
  busy.tell(ipc::Serve{});
  const os::UniqueFd client = busy.connect();
  busy.tell(ipc::Stop{.grace = Duration{1'000}});
  REQUIRE(::kill(busy.pid(), SIGCONT) == 0);
  CHECK(busy.says<ipc::Taken>());
  CHECK(test::read_to_end(client.get()) == "served\n");
}

TEST_CASE("a spare worker drains on TERM and says who sent it, and other signals do nothing to it") {
  Worker worker{shell("true")};
  REQUIRE(worker.says<ipc::Ready>());
  for (const int number : {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGPIPE}) REQUIRE(::kill(worker.pid(), number) == 0);
  REQUIRE(::kill(worker.pid(), SIGTERM) == 0);
  const auto message = worker.next();
  REQUIRE(message.has_value());
  CHECK(std::get<ipc::Retiring>(*message).reason.contains("SIGTERM from pid " + std::to_string(::getpid())));
  CHECK(worker.wait() == "status 0");
}

TEST_CASE("a worker that may not have a connection resets it and waits for the next") {
  config::ExecConfig exec = shell("echo served");
  exec.max_per_address = 1;
  Worker worker{exec};
  REQUIRE(worker.says<ipc::Ready>());
  worker.tell(ipc::Serve{});
  const os::UniqueFd refused = worker.connect();
  REQUIRE(worker.says<ipc::Taken>());
  worker.tell(ipc::Proceed{.allowed = false});
  REQUIRE(test::wait_readable(refused.get()));
  char byte = 0;
  CHECK(::read(refused.get(), &byte, 1) < 0);
  CHECK(errno == ECONNRESET);
  CHECK(worker.counts().open_connections == 0);
  const os::UniqueFd served = worker.connect();
  REQUIRE(worker.says<ipc::Taken>());
  worker.tell(ipc::Proceed{.allowed = true});
  CHECK(test::read_to_end(served.get()) == "served\n");
}

TEST_CASE("a program that cannot be executed, or has no directory, is a failed start with the reason") {
  Worker missing{{.command = {"/nowhere/program"}}};
  const auto message = missing.next();
  REQUIRE(message.has_value());
  CHECK(std::get<ipc::StartFailed>(*message).reason ==
        "cannot execute \"/nowhere/program\": No such file or directory");
  CHECK(missing.wait() == "status 1");
  Worker homeless{{.command = {"/bin/true"}, .cwd = "/nowhere"}};
  const auto other = homeless.next();
  REQUIRE(other.has_value());
  CHECK(std::get<ipc::StartFailed>(*other).reason == "cannot enter \"/nowhere\": No such file or directory");
}

TEST_CASE("a program that has gone since it was checked is told, with exit status 127") {
  std::string path = "/tmp/prong-exec-XXXXXX";
  const int file = ::mkstemp(path.data());
  REQUIRE(file >= 0);
  test::write_all(file, "#!/bin/sh\n");
  REQUIRE(::fchmod(file, 0755) == 0);
  (void)::close(file);
  Worker worker{{.command = {path}}};
  REQUIRE(worker.says<ipc::Ready>());
  REQUIRE(::unlink(path.c_str()) == 0);
  worker.tell(ipc::Serve{});
  const os::UniqueFd client = worker.connect();
  REQUIRE(worker.says<ipc::Taken>());
  const auto message = worker.next();
  REQUIRE(message.has_value());
  CHECK(std::get<ipc::StartFailed>(*message).reason == "cannot execute \"" + path + "\": No such file or directory");
  CHECK(worker.wait() == "status 127");
}

TEST_CASE("a program that accepts by itself gets the sockets by systemd's protocol") {
  config::ExecConfig exec = shell(
      "echo \"$LISTEN_FDS $LISTEN_FDNAMES $NOTIFY_SOCKET\"; test $LISTEN_PID = $$ && echo own; ls /proc/self/fd | tr "
      "'\\n' ' '; grep flags /proc/self/fdinfo/3; grep -E '^Sig(Blk|Ign)' /proc/self/status; readlink /proc/self/fd/0");
  exec.style = config::ExecStyle::kListener;
  Worker worker{exec};
  CHECK(worker.says<ipc::Executing>());
  CHECK(worker.next() == std::nullopt);
  const std::string report = worker.errors();
  CAPTURE(report);
  CHECK(report.starts_with("1 shop @notify\nown\n0 1 2 3 4 flags:"));  // 4: ls itself
  CHECK(report.contains("flags:\t04002\n"));                           // no CLOEXEC; O_NONBLOCK as they came
  CHECK(report.contains("SigBlk:\t0000000000000000\n"));
  CHECK(report.contains("SigIgn:\t0000000000000000\n"));
  CHECK(report.ends_with("/dev/null\n"));
  CHECK(worker.wait() == "status 0");
}

TEST_CASE("a socket's name is the one that systemd gave, else the pool's") {
  ipc::Inheritance inheritance;
  inheritance.pool = "shop";
  inheritance.listeners = {{.fd = 1, .number = 0, .address = "127.0.0.1:80"},
                           {.fd = 2, .number = 1, .address = "systemd:web"},
                           {.fd = 3, .number = 1, .address = "systemd:web"}};
  CHECK(names_of_sockets(inheritance) == "shop:web:web");
}

}  // namespace prong::worker
