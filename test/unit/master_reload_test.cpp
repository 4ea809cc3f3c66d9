// The first half of the transaction: what can fail is tried, and a failure leaves everything as it was.
#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>

#include "config/reader.hpp"
#include "config_folder.hpp"
#include "master/config_plan.hpp"
#include "master/reload.hpp"
#include "net/address.hpp"
#include "net/listener_set.hpp"
#include "os/socket.hpp"

namespace prong::master {
namespace {

using config::test::Folder;

Planned plan_of(const std::string& text) {
  return plan_config([&] { return config::load_text(text, "t.toml"); });
}

std::string pool(const std::string& name, const std::string& listen) {
  return "[pool." + name + "]\nlisten = [" + listen + "]\nstatic.root = \"/\"\n";
}

std::string quoted(const std::string& text) {
  return "\"" + text + "\"";
}

// A port of the loopback that somebody else listens on, and its address.
struct Taken {
  os::UniqueFd socket;
  std::string address;
};
Taken take_port() {
  auto address = net::parse_address("127.0.0.1:0");
  auto socket = os::make_socket(AF_INET, SOCK_STREAM);
  REQUIRE(socket);
  REQUIRE(os::bind_socket(socket->get(), address->socket));
  REQUIRE(os::listen_on(socket->get(), 1));
  const std::string bound = net::to_text(*os::local_address(socket->get()));
  return {std::move(*socket), bound};
}

const Current nothing_before{};

std::vector<std::string> texts_of(const Prepared& prepared) {
  std::vector<std::string> texts;
  texts.reserve(prepared.errors.size());
  for (const PrepareError& error : prepared.errors) texts.push_back(error.text);
  return texts;
}

}  // namespace

TEST_CASE("the log settings follow the [log] table") {
  CHECK(log_settings({.target = "stderr"}).target == log::Target::kStderr);
  CHECK(log_settings({.target = "journal"}).target == log::Target::kJournal);
  const log::Settings file = log_settings({.target = "/var/log/x.log"});
  CHECK(file.target == log::Target::kFile);
  CHECK(file.path == "/var/log/x.log");
  CHECK(log_settings({.level = config::LogLevel::kDebug}).level == log::Level::kDebug);
  CHECK(log_settings({.level = config::LogLevel::kInfo}).level == log::Level::kInfo);
  CHECK(log_settings({.level = config::LogLevel::kWarn}).level == log::Level::kWarn);
  CHECK(log_settings({.level = config::LogLevel::kError}).level == log::Level::kError);
  CHECK(log_settings({.color = config::LogColor::kAuto}).color == log::Color::kAuto);
  CHECK(log_settings({.color = config::LogColor::kAlways}).color == log::Color::kAlways);
  CHECK(log_settings({.color = config::LogColor::kNever}).color == log::Color::kNever);
}

TEST_CASE("\"auto\" is the journal when standard error is its stream, and standard error otherwise") {
  (void)::unsetenv("JOURNAL_STREAM");
  CHECK(log_settings({.target = "auto"}).target == log::Target::kStderr);
  struct stat status{};
  REQUIRE(::fstat(STDERR_FILENO, &status) == 0);
  (void)::setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(), 1);
  CHECK(log_settings({.target = "auto"}).target == log::Target::kJournal);
  // Set for an ancestor whose standard error was redirected later.
  (void)::setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino + 1).c_str(), 1);
  CHECK(log_settings({.target = "auto"}).target == log::Target::kStderr);
  (void)::unsetenv("JOURNAL_STREAM");
}

TEST_CASE("the addresses of a plan are the canonical ones of all its pools") {
  const Planned planned = plan_of(pool("a", R"("*:80", "unix:/a")") + pool("b", R"("[0::1]:81", "systemd:x")"));
  CHECK(addresses_of(planned.plan) == std::set<std::string>{"0.0.0.0:80", "unix:/a", "[::1]:81", "systemd:x"});
}

TEST_CASE("the addresses of a generation are those of all its pools") {
  Generation generation;
  generation.pools.resize(2);
  generation.pools[0].listeners = {"a", "b"};
  generation.pools[1].listeners = {"c", "a"};
  CHECK(addresses_of(generation) == std::set<std::string>{"a", "b", "c"});
  CHECK(addresses_of(Generation{}).empty());
}

TEST_CASE("what is good is bound and has its log") {
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared prepared =
      prepare(plan_of(pool("a", R"("127.0.0.1:0", "[::1]:0")")), nothing_before, listeners, access_logs);
  CHECK(prepared.errors.empty());
  CHECK(prepared.log != nullptr);
  REQUIRE(listeners.find("127.0.0.1:0") != nullptr);
  CHECK(listeners.find("[::1]:0") != nullptr);
}

TEST_CASE("an error in the text is told as a whole line, and nothing is bound") {
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared prepared =
      prepare(plan_of(pool("a", "\"127.0.0.1:0\"") + "workerz = 1\n"), nothing_before, listeners, access_logs);
  CAPTURE(texts_of(prepared));
  REQUIRE(prepared.errors.size() == 1);
  CHECK(prepared.errors[0].code == MessageCode::kConfigurationWrong);
  CHECK_THAT(prepared.errors[0].text, Catch::StartsWith("t.toml:4:1: error: "));
  CHECK(listeners.find("127.0.0.1:0") == nullptr);
}

TEST_CASE("a taken port is told at the line that asks for it, and with it every other one") {
  const Taken first = take_port();
  const Taken second = take_port();
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared prepared = prepare(plan_of(pool("a", quoted(first.address)) + pool("b", quoted(second.address))),
                                    nothing_before, listeners, access_logs);
  CAPTURE(texts_of(prepared));
  REQUIRE(prepared.errors.size() == 2);
  CHECK(prepared.errors[0].code == MessageCode::kCannotListen);
  CHECK_THAT(prepared.errors[0].text, Catch::StartsWith("t.toml:2:11: error: cannot bind " + quoted(first.address) +
                                                        ": Address already in use"));
  CHECK_THAT(prepared.errors[1].text, Catch::StartsWith("t.toml:5:11: error: cannot bind " + quoted(second.address)));
}

TEST_CASE("when one listener cannot be bound, those that could are closed again") {
  const Taken taken = take_port();
  const Folder folder;
  const std::string socket = folder.path("new.sock");
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared prepared =
      prepare(plan_of(pool("a", "\"127.0.0.1:0\", " + quoted("unix:" + socket) + ", " + quoted(taken.address))),
              nothing_before, listeners, access_logs);
  CAPTURE(texts_of(prepared));
  REQUIRE(prepared.errors.size() == 1);
  CHECK(listeners.find("127.0.0.1:0") == nullptr);
  CHECK(listeners.find("unix:" + socket) == nullptr);
  CHECK(::access(socket.c_str(), F_OK) != 0);
}

TEST_CASE("a failure leaves the listeners that serve alone") {
  const Taken taken = take_port();
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared before = prepare(plan_of(pool("a", "\"127.0.0.1:0\"")), nothing_before, listeners, access_logs);
  REQUIRE(before.errors.empty());
  net::Listener* const serving = listeners.find("127.0.0.1:0");
  const std::string bound = serving->bound_text();
  const Prepared failed = prepare(plan_of(pool("a", "\"127.0.0.1:0\", " + quoted(taken.address))),
                                  {.config = before.plan.config, .log = before.log}, listeners, access_logs);
  CAPTURE(texts_of(failed));
  REQUIRE(failed.errors.size() == 1);
  CHECK(listeners.find("127.0.0.1:0") == serving);
  CHECK(serving->bound_text() == bound);
}

TEST_CASE("an option that a bound listener cannot change is an error with its place") {
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared before = prepare(plan_of(pool("a", "\"[::1]:0\"")), nothing_before, listeners, access_logs);
  REQUIRE(before.errors.empty());
  const Prepared failed = prepare(plan_of(pool("a", "{ address = \"[::1]:0\", v6only = false }")),
                                  {.config = before.plan.config, .log = before.log}, listeners, access_logs);
  CAPTURE(texts_of(failed));
  REQUIRE(failed.errors.size() == 1);
  CHECK_THAT(failed.errors[0].text, Catch::StartsWith("t.toml:2:11: error: "));
  CHECK_THAT(failed.errors[0].text, Catch::Contains("v6only"));
}

TEST_CASE("an unchanged [log] keeps its log; a changed one is opened before anything is bound") {
  const Folder folder;
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared before = prepare(plan_of(pool("a", "\"127.0.0.1:0\"")), nothing_before, listeners, access_logs);
  const Current current{.config = before.plan.config, .log = before.log};
  CHECK(prepare(plan_of(pool("b", "\"127.0.0.1:0\"")), current, listeners, access_logs).log == before.log);
  const Prepared other =
      prepare(plan_of("[log]\ntarget = " + quoted(folder.path("x.log")) + "\n" + pool("a", "\"127.0.0.1:0\"")), current,
              listeners, access_logs);
  CHECK(other.errors.empty());
  CHECK(other.log != before.log);
  CHECK(::access(folder.path("x.log").c_str(), F_OK) == 0);
}

TEST_CASE("a log that cannot be opened fails the reload before anything is bound") {
  const Folder folder;
  (void)folder.write("taken/file", "");
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared prepared =
      prepare(plan_of("[log]\ntarget = " + quoted(folder.path("taken")) + "\n" + pool("a", "\"127.0.0.1:0\"")),
              nothing_before, listeners, access_logs);
  CAPTURE(texts_of(prepared));
  REQUIRE(prepared.errors.size() == 1);
  CHECK_THAT(prepared.errors[0].text, Catch::Contains("cannot open the log file"));
  CHECK(listeners.find("127.0.0.1:0") == nullptr);
}

TEST_CASE("listeners that stay take the new options, and their queue stays") {
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const Prepared before = prepare(plan_of(pool("a", "\"127.0.0.1:0\"")), nothing_before, listeners, access_logs);
  REQUIRE(before.errors.empty());
  const int fd = listeners.find("127.0.0.1:0")->descriptors().at(0);
  CHECK(*os::get_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  const Planned next = plan_of(pool("a", "{ address = \"127.0.0.1:0\", keepalive = false }"));
  update_listeners(next.plan, listeners);
  CHECK(listeners.find("127.0.0.1:0")->descriptors() == std::vector<int>{fd});
  CHECK(*os::get_option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0);
  CHECK(*os::get_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1);
}

TEST_CASE("access logs are opened, one file for all that name it, and those that are open stay as they are") {
  const Folder folder;
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const auto with_log = [&](const std::string& name, const std::string& file) {
    return pool(name, "\"unix:" + folder.path(name) + "\"") + "access_log.path = " + quoted(folder.path(file)) + "\n";
  };
  const Prepared before =
      prepare(plan_of(with_log("a", "x.log") + with_log("b", "x.log")), nothing_before, listeners, access_logs);
  CAPTURE(texts_of(before));
  REQUIRE(before.errors.empty());
  CHECK(access_logs.paths() == std::set<std::string>{folder.path("x.log")});
  const int fd = access_logs.find(folder.path("x.log"));
  CHECK(fd >= 0);
  const Prepared after = prepare(plan_of(with_log("a", "x.log") + with_log("b", "y.log")),
                                 {.config = before.plan.config, .log = before.log}, listeners, access_logs);
  CHECK(after.errors.empty());
  CHECK(access_logs.find(folder.path("x.log")) == fd);
  CHECK(access_logs.find(folder.path("y.log")) >= 0);
}

TEST_CASE("an access log that cannot be opened is told at its path, and nothing that was opened for it stays") {
  const Folder folder;
  (void)folder.write("taken/file", "");
  net::ListenerSet listeners{{}};
  AccessLogs access_logs;
  const auto with_log = [&](const std::string& name, const std::string& file) {
    return pool(name, "\"unix:" + folder.path(name) + "\"") + "access_log.path = " + quoted(folder.path(file)) + "\n";
  };
  REQUIRE(access_logs.ensure(folder.path("before.log")).has_value());
  const Prepared prepared = prepare(
      plan_of(with_log("a", "new.log") + with_log("b", "taken") + with_log("c", "taken") + with_log("d", "before.log")),
      nothing_before, listeners, access_logs);
  CAPTURE(texts_of(prepared));
  REQUIRE(prepared.errors.size() == 1);
  CHECK(prepared.errors[0].code == MessageCode::kCannotOpenLog);
  CHECK(prepared.errors[0].text ==
        "t.toml:8:19: error: cannot open the access log " + quoted(folder.path("taken")) + ": Is a directory");
  CHECK(access_logs.paths() == std::set<std::string>{folder.path("before.log")});
  CHECK(listeners.addresses().empty());
}

}  // namespace prong::master
