// What systemd hands over, each in a child whose environment and descriptors are made up for it.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "config_folder.hpp"
#include "forked.hpp"
#include "os/systemd.hpp"

namespace prong::os {
namespace {

using config::test::Folder;
using test::run_forked;
using test::Told;

// Puts two sockets at descriptors 3 and 4, as systemd does. The report moves out of the way.
int place_sockets(int report) {
  const int moved = ::fcntl(report, F_DUPFD_CLOEXEC, 50);
  const int first = ::fcntl(::socket(AF_UNIX, SOCK_STREAM, 0), F_DUPFD, 60);
  const int second = ::fcntl(::socket(AF_UNIX, SOCK_DGRAM, 0), F_DUPFD, 60);
  (void)::dup2(first, 3);
  (void)::dup2(second, 4);
  return moved;
}

void set_listen(int count, const char* names) {
  (void)::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  (void)::setenv("LISTEN_FDS", std::to_string(count).c_str(), 1);
  if (names != nullptr)
    (void)::setenv("LISTEN_FDNAMES", names, 1);
  else
    (void)::unsetenv("LISTEN_FDNAMES");
}

std::string environment_left() {
  std::string left;
  for (const char* name :
       {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
    if (std::getenv(name) != nullptr) left += std::string{" "} + name;
  return left.empty() ? " clean" : left;
}

std::string describe(const SystemdHandover& handover) {
  std::string text;
  for (const auto& socket : handover.sockets) {
    text += socket.name + "=" + std::to_string(socket.fd.get());
    if ((::fcntl(socket.fd.get(), F_GETFD) & FD_CLOEXEC) == 0) text += " kept by exec";
    if ((::fcntl(socket.fd.get(), F_GETFL) & O_NONBLOCK) == 0) text += " blocks";
    text += ",";
  }
  if (handover.notify) text += " notify " + handover.notify_socket;
  if (handover.watchdog) text += " watchdog " + std::to_string(handover.watchdog->count());
  return text + environment_left();
}

// A datagram socket to which the notifications of a test go.
struct Inbox {
  Folder folder;
  std::string path = folder.path("notify");
  UniqueFd socket;

  Inbox() : socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(static_cast<char*>(address.sun_path), sizeof address.sun_path - 1);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  [[nodiscard]] std::string next() const {
    if (!test::wait_readable(socket.get())) return "(nothing came)";
    std::array<char, 1024> buffer{};
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }
};

}  // namespace

TEST_CASE("sockets of systemd come with their names, closed by an exec and non-blocking, and nobody else sees them") {
  const Told told = run_forked([](int report) {
    const int moved = place_sockets(report);
    set_listen(2, "web:api");
    test::write_all(moved, describe(take_systemd_handover()));
    return std::string{};
  });
  CHECK(told.report == "web=3,api=4, clean");
}

TEST_CASE("sockets without names are \"unknown\"") {
  const Told told = run_forked([](int report) {
    const int moved = place_sockets(report);
    set_listen(2, nullptr);
    test::write_all(moved, describe(take_systemd_handover()));
    return std::string{};
  });
  CHECK(told.report == "unknown=3,unknown=4, clean");
}

TEST_CASE("sockets that were meant for another process are not taken, and not passed on") {
  const Told told = run_forked([](int report) {
    const int moved = place_sockets(report);
    set_listen(2, "web:api");
    (void)::setenv("LISTEN_PID", "1", 1);
    const std::string text = describe(take_systemd_handover());
    test::write_all(moved, text + (::fcntl(3, F_GETFD) >= 0 ? " open" : " closed"));
    return std::string{};
  });
  CHECK(told.report == " clean open");
}

TEST_CASE("without systemd there is nothing") {
  const Told told = run_forked([](int) {
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC"})
      (void)::unsetenv(name);
    return describe(take_systemd_handover());
  });
  CHECK(told.report == " clean");
}

TEST_CASE("the notify socket and the watchdog are taken out of the environment") {
  const Told told = run_forked([](int) {
    (void)::setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    (void)::setenv("WATCHDOG_USEC", "20000000", 1);
    (void)::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
    return describe(take_systemd_handover());
  });
  CHECK(told.report == " notify /run/systemd/notify watchdog 20000000 clean");
}

TEST_CASE("a watchdog of another process is none of ours") {
  const Told told = run_forked([](int) {
    (void)::setenv("WATCHDOG_USEC", "20000000", 1);
    (void)::setenv("WATCHDOG_PID", "1", 1);
    return describe(take_systemd_handover());
  });
  CHECK(told.report == " clean");
}

TEST_CASE("a notification reaches systemd, and leaves the environment clean") {
  const Inbox inbox;
  const Told told = run_forked([&](int) {
    const Notifier notifier{inbox.path};
    notifier.send("READY=1\nSTATUS=files 2/2");
    notifier.send("STOPPING=1");
    return (notifier.active() ? std::string{"active"} : std::string{"idle"}) + environment_left();
  });
  CHECK(told.report == "active clean");
  CHECK(inbox.next() == "READY=1\nSTATUS=files 2/2");
  CHECK(inbox.next() == "STOPPING=1");
}

TEST_CASE("a notifier without a socket does nothing, and one whose socket is gone does not fail") {
  const Told told = run_forked([](int) {
    const Notifier idle;
    idle.send("READY=1");
    const Notifier gone{"/there/is/no/such/socket"};
    gone.send("READY=1");
    return (idle.active() ? std::string{"active"} : std::string{"idle"}) + environment_left();
  });
  CHECK(told.report == "idle clean");
}

TEST_CASE("standard error is the journal only when it is the very stream that systemd named") {
  const Told told = run_forked([](int) {
    struct stat status{};
    (void)::fstat(STDERR_FILENO, &status);
    std::string text;
    const auto ask = [&](const std::string& stream) {
      (void)::setenv("JOURNAL_STREAM", stream.c_str(), 1);
      text += stderr_is_journal() ? '1' : '0';
    };
    ask(std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino));
    ask(std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino + 1));
    ask(std::to_string(status.st_dev + 1) + ":" + std::to_string(status.st_ino));
    ask("");
    ask("nonsense");
    (void)::unsetenv("JOURNAL_STREAM");
    text += stderr_is_journal() ? '1' : '0';
    return text;
  });
  CHECK(told.report == "100000");
}

}  // namespace prong::os
