// What the check finds in pools that run programs.
#include <catch2/catch.hpp>

#include <string>
#include <variant>
#include <vector>

#include "config/check.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "config_folder.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

// Compared with instead of empty(), so that a failure shows what there is.
Texts none() {
  return {};
}

// Line 3 and on are the pool's own.
Loaded load_pool(const std::string& text) {
  return load_text("[pool.a]\nlisten = [\"x\"]\n" + text, "t.toml");
}

Texts found_in(const std::string& text) {
  const Loaded loaded = load_pool(text);
  REQUIRE(loaded.diagnostics.empty());
  Texts texts;
  for (const Diagnostic& diagnostic : check(*loaded.config)) texts.push_back(to_text(diagnostic));
  return texts;
}

ExecConfig exec_of(const std::string& text) {
  const Loaded loaded = load_pool(text);
  REQUIRE(loaded.diagnostics.empty());
  return std::get<ExecConfig>(loaded.config->pools.at(0).app);
}

}  // namespace

TEST_CASE("a program of either style is read, with its arguments and variables as they are") {
  const ExecConfig connection =
      exec_of(R"(exec = { command = ["sh", "-c", "a\nb", ""], env = { B = "2", A = "x\ty" }, spare = 2 })");
  CHECK(connection.command == Texts{"sh", "-c", "a\nb", ""});
  CHECK(connection.style == ExecStyle::kConnection);
  CHECK(connection.env == NamedTexts{{"B", "2"}, {"A", "x\ty"}});
  CHECK(connection.spare == 2);
  CHECK(connection.cwd == "/");
  CHECK(connection.ready == Duration{1'000});
  CHECK(to_text(connection.command_position) == "t.toml:3:20");
  const ExecConfig listener =
      exec_of(R"(exec = { command = ["a"], style = "listener", ready = "notify", nonblocking = true })");
  CHECK(listener.style == ExecStyle::kListener);
  CHECK(listener.ready == std::nullopt);
  CHECK(listener.nonblocking);
}

TEST_CASE("a relative working directory starts at the folder of the file") {
  const test::Folder folder;
  const Loaded loaded =
      load_file(folder.write("p.toml", "[pool.a]\nlisten = [\"x\"]\nexec = { command = [\"a\"], cwd = \"work\" }"));
  REQUIRE(loaded.diagnostics.empty());
  CHECK(std::get<ExecConfig>(loaded.config->pools.at(0).app).cwd == folder.path("work"));
}

TEST_CASE("what a program does by itself is told when it is written beside exec") {
  const std::string exec = "exec = { command = [\"a\"] }";
  CHECK(found_in("user = \"root\"\numask = \"077\"\nrlimits.nofile = 100\nstart_timeout = \"1s\"\nstart_attempts = 1\n"
                 "graceful_timeout = \"1s\"\nmax_backoff = \"1s\"\n" +
                 exec) == none());
  CHECK(found_in("workers = 2\nexec = { command = [\"a\"], style = \"listener\" }") == none());
  CHECK(found_in("workers = 2\n" + exec) ==
        Texts{"t.toml:3:11: error: pool.a.workers does not fit a pool that runs a program in style \"connection\"; "
              "spare and max_connections in its exec table say how many programs there are"});
  CHECK(found_in("max_connections = 2\n" + exec) ==
        Texts{"t.toml:3:19: error: pool.a.max_connections does not fit a pool that runs a program; write it in the "
              "exec table"});
  for (const char* line :
       {"http.max_headers = 1", "http = {}", "access_log.path = \"/tmp/x\"", "concurrency = \"event\""})
    CHECK(found_in(line + ("\n" + exec)).size() == 1);
}

TEST_CASE("keys of the other style are told") {
  CHECK(found_in("exec = { command = [\"a\"], style = \"listener\", spare = 2 }") ==
        Texts{"t.toml:3:55: error: pool.a.exec.spare does not fit a pool that runs a program in style \"listener\"; it "
              "is a key of the other style"});
  const std::string exec = "exec = { command = [\"a\"], ";
  for (const char* key : {"spare = 4", "max_connections = 100", "max_per_address = 0"}) {
    CHECK(found_in(exec + key + " }") == none());
    CHECK(found_in(exec + "style = \"listener\", " + key + " }").size() == 1);
  }
  for (const char* key : {"ready = \"1s\"", "nonblocking = false"}) {
    CHECK(found_in(exec + "style = \"listener\", " + key + " }") == none());
    CHECK(found_in(exec + key + " }").size() == 1);
  }
}

TEST_CASE("a command that can be none is told") {
  CHECK(found_in("exec.command = [\"\"]") ==
        Texts{"t.toml:3:17: error: the command is empty; write the name or the path of a program"});
  CHECK(found_in("exec.command = [\"a\", \"b\\u0000c\"]") ==
        Texts{"t.toml:3:22: error: \"b\\u0000c\" has a NUL byte; no argument of a program can have one"});
  CHECK_FALSE(load_pool("exec.command = []").diagnostics.empty());
  CHECK_FALSE(load_pool("exec = {}").diagnostics.empty());
}

TEST_CASE("variables that no environment can have, and those of prongd, are told") {
  const std::string exec = "exec.command = [\"a\"]\nexec.";
  CHECK(found_in(exec + "env = { \"A=B\" = \"1\" }") ==
        Texts{"t.toml:4:22: error: \"A=B\" is no name of a variable; a name is not empty and has no ="});
  CHECK(found_in(exec + "env = { \"\" = \"1\" }").size() == 1);
  CHECK(found_in(exec + "env = { A = \"\\u0000\" }").size() == 1);
  CHECK(found_in(exec + "env = { LISTEN_FDS = \"1\" }") ==
        Texts{"t.toml:4:27: error: the variable \"LISTEN_FDS\" is set by prongd itself; leave it out"});
  CHECK(found_in(exec + "pass_env = [\"PATH\", \"A=\"]") ==
        Texts{"t.toml:4:26: error: \"A=\" is no name of a variable; a name is not empty and has no ="});
}

TEST_CASE("signals that are none, or end nothing, are told") {
  const std::string exec = "exec.command = [\"a\"]\nexec.stop_signal = ";
  for (const char* name : {"\"TERM\"", "\"SIGQUIT\"", "\"KILL\"", "\"WINCH\""}) CHECK(found_in(exec + name) == none());
  CHECK(found_in(exec + "\"TREM\"") ==
        Texts{"t.toml:4:20: error: pool.a.exec.stop_signal = \"TREM\" is no signal; did you mean \"TERM\"?"});
  CHECK(found_in(exec + "\"STOP\"") ==
        Texts{"t.toml:4:20: error: pool.a.exec.stop_signal = \"STOP\" ends no program; write for example \"TERM\", "
              "\"INT\" or \"QUIT\""});
}

TEST_CASE("more spare workers than programs are told") {
  CHECK(found_in("exec = { command = [\"a\"], spare = 3, max_connections = 3 }") == none());
  CHECK(found_in("exec = { command = [\"a\"], max_connections = 3 }") ==
        Texts{"t.toml:3:45: error: pool.a.exec.spare = 4 is more than pool.a.exec.max_connections = 3; spare workers "
              "count as well"});
}

TEST_CASE("what is printed of a pool that runs a program is good configuration") {
  for (const char* style : {"connection", "listener"}) {
    const Loaded loaded =
        load_pool(R"(exec = { command = ["a", "\n"], env.A = "b\tc", style = ")" + std::string{style} + "\" }");
    REQUIRE(loaded.diagnostics.empty());
    const std::string printed = to_toml(*loaded.config);
    CAPTURE(printed);
    const Loaded again = load_text(printed, "p.toml");
    CHECK(again.diagnostics.empty());
    CHECK(check(*again.config).empty());
  }
}

}  // namespace prong::config
