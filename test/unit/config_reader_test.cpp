// What the reader understands, and the exact words and places of what it refuses.
#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "config/files.hpp"
#include "config/reader.hpp"
#include "config_folder.hpp"
#include "os/execute.hpp"

namespace prong::config {
namespace {

using namespace std::chrono_literals;
using namespace prong::literals;
using Texts = std::vector<std::string>;

// Compared with instead of empty(), so that a failure shows what there is.
Texts none() {
  return {};
}

Texts texts(const std::vector<Diagnostic>& diagnostics) {
  Texts result;
  for (const Diagnostic& diagnostic : diagnostics) result.push_back(to_text(diagnostic));
  return result;
}

Texts errors_of(std::string_view text) {
  return texts(load_text(text, "t.toml").diagnostics);
}

// A good pool, in whose table further keys can stand behind it.
constexpr std::string_view kPool = "[pool.a]\nlisten = [\"127.0.0.1:80\"]\nstatic = { root = \"/srv\" }\n";

Texts errors_in_pool(std::string_view keys) {
  return errors_of(std::string{kPool} + std::string{keys});
}

const Config& good(const Loaded& loaded) {
  REQUIRE(texts(loaded.diagnostics) == none());
  REQUIRE(loaded.config != nullptr);
  return *loaded.config;
}

}  // namespace

TEST_CASE("a pool with nothing but the required keys has the documented defaults") {
  const Loaded loaded = load_text(kPool, "/etc/prongd/prongd.toml");
  const Config& config = good(loaded);
  REQUIRE(config.pools.size() == 1);
  const PoolConfig& pool = config.pools[0];
  CHECK(pool.name == "a");
  CHECK_FALSE(pool.workers.has_value());
  CHECK(pool.max_connections == 10'000);
  CHECK(pool.umask == 022);
  REQUIRE(pool.listen.size() == 1);
  CHECK(pool.listen[0].address == "127.0.0.1:80");
  CHECK(pool.listen[0].backlog == 4'096);
  CHECK(pool.http.idle_timeout == 75s);
  CHECK(std::get<StaticConfig>(pool.app).root == "/srv");
  CHECK(config.sources == Texts{"/etc/prongd/prongd.toml"});
}

TEST_CASE("every kind of value is understood") {
  const Loaded loaded = load_text(R"(
[log]
target = "stderr"
level = "debug"
color = "never"
[pool.a]
listen = ["[::]:80",
          { address = "unix:/run/a.sock", mode = "0660", backlog = 7, defer_accept = "0", send_buffer = "1MiB", keepalive = false, owner = "root" }]
workers = 3
umask = "077"
graceful_timeout = "1m30s"
rlimits = { nofile = 1024, core = "unlimited", address_space = "2GiB" }
http.max_header = "8KiB"
http.server_header = false
[pool.a.static]
root = "/srv/"
index = []
[pool.b]
listen = ["127.0.0.1:81"]
workers = "auto"
rlimits = { core = "inherit" }
static.root = "/"
)",
                                  "t.toml");
  const Config& config = good(loaded);
  CHECK(config.log.target == "stderr");
  CHECK(config.log.level == LogLevel::kDebug);
  CHECK(config.log.color == LogColor::kNever);
  const PoolConfig& pool = config.pools.at(0);
  CHECK(pool.listen.at(0).address == "[::]:80");
  const ListenerConfig& socket = pool.listen.at(1);
  CHECK(socket.address == "unix:/run/a.sock");
  CHECK(socket.mode == 0660);
  CHECK(socket.backlog == 7);
  CHECK(socket.defer_accept == 0s);
  CHECK(socket.send_buffer == 1_MiB);
  CHECK_FALSE(socket.receive_buffer.has_value());
  CHECK_FALSE(socket.keepalive);
  CHECK(socket.owner == "root");
  CHECK(pool.workers == 3U);
  CHECK(pool.umask == 077);
  CHECK(pool.graceful_timeout == 90s);
  CHECK(pool.rlimits.nofile == 1024U);
  CHECK(pool.rlimits.core == kUnlimited);
  CHECK(pool.rlimits.address_space == 2_GiB);
  CHECK(pool.http.max_header == 8_KiB);
  CHECK_FALSE(pool.http.server_header);
  CHECK(std::get<StaticConfig>(pool.app).root == "/srv");
  CHECK(std::get<StaticConfig>(pool.app).index.empty());
  CHECK_FALSE(config.pools.at(1).workers.has_value());
  CHECK_FALSE(config.pools.at(1).rlimits.core.has_value());
  CHECK(std::get<StaticConfig>(config.pools.at(1).app).root == "/");
}

TEST_CASE("pools keep the order of the file") {
  const Loaded loaded = load_text(R"(
[pool.z]
listen = ["127.0.0.1:1"]
static.root = "/"
[pool.a]
listen = ["127.0.0.1:2"]
static.root = "/"
)",
                                  "t.toml");
  const Config& config = good(loaded);
  REQUIRE(config.pools.size() == 2);
  CHECK(config.pools[0].name == "z");
  CHECK(config.pools[1].name == "a");
}

TEST_CASE("values know where they were written") {
  const Loaded loaded = load_text("\n" + std::string{kPool} + "user = \"www\"\n", "t.toml");
  const Config& config = good(loaded);
  const PoolConfig& pool = config.pools.at(0);
  CHECK(to_text(pool.position) == "t.toml:2:1");
  CHECK(to_text(pool.listen.at(0).position) == "t.toml:3:11");
  CHECK(to_text(std::get<StaticConfig>(pool.app).root_position) == "t.toml:4:19");
  REQUIRE(config.position_of("pool.a.user") != nullptr);
  CHECK(to_text(*config.position_of("pool.a.user")) == "t.toml:5:8");
  CHECK(config.position_of("pool.a.group") == nullptr);
}

TEST_CASE("a control socket at a relative path is refused: prongctl looks for it from anywhere") {
  for (const char* path : {"c.sock/", "./c.sock", "run/c.sock", "~/c.sock"}) {
    CAPTURE(path);
    const Loaded loaded = load_text(
        std::string("[control]\nsocket = \"") + path + "\"\n[pool.a]\nlisten = [\"x\"]\n" + "static.root = \"/\"",
        "/etc/t.toml");
    REQUIRE(loaded.diagnostics.size() == 1);
    CHECK(to_text(loaded.diagnostics.front()) == std::string("/etc/t.toml:2:10: error: control.socket = \"") + path +
                                                     "\" is a relative path; write the whole path, from / on");
  }
}

TEST_CASE("a relative path is taken from the folder of its file, normalised") {
  const auto root_of = [](std::string_view root, const std::string& file) {
    const std::string text = R"([pool.a]
listen = ["127.0.0.1:80"]
static = { root = ")" + std::string{root} +
                             "\" }\n[log]\ntarget = \"./log\"\n";
    const Loaded loaded = load_text(text, file);
    return std::pair{std::get<StaticConfig>(good(loaded).pools.at(0).app).root, loaded.config->log.target};
  };
  CHECK(root_of("html", "/etc/p/p.toml") == std::pair<std::string, std::string>{"/etc/p/html", "/etc/p/log"});
  CHECK(root_of("../html/./x//y/", "/etc/p/p.toml").first == "/etc/html/x/y");
  CHECK(root_of("/srv", "/etc/p/p.toml").first == "/srv");
  CHECK(root_of(".", "p.toml").first == os::working_directory());
  CHECK(root_of("x", "sub/p.toml").first == os::working_directory() + "/sub/x");
}

TEST_CASE("each mistake in a pool is told at its place with what to write instead") {
  struct Case {
    std::string_view keys;
    std::string_view error;
  };
  const auto c = GENERATE(values<Case>({
      // unknown keys
      {"worker = 3", R"(t.toml:4:1: error: unknown key "worker" in pool.a; did you mean "workers"?)"},
      {"Max-Connections = 3",
       R"(t.toml:4:1: error: unknown key "Max-Connections" in pool.a; did you mean "max_connections"?)"},
      {"root = \"/\"", R"(t.toml:4:1: error: unknown key "root" in pool.a; it belongs in pool.NAME.static)"},
      {"level = \"info\"", R"(t.toml:4:1: error: unknown key "level" in pool.a; it belongs in log)"},
      {"http.zzz = 1",
       R"(t.toml:4:6: error: unknown key "zzz" in pool.a.http; known here: header_timeout, idle_timeout, send_timeout, min_send_rate, idle_grace, max_header, max_request_line, max_header_line, max_headers, max_body, body_buffer, body_dir, body_timeout, min_body_rate, output_buffer, output_spool, keepalive_requests, underscore_headers, server_header)"},
      {"http = { idle_timout = \"3s\" }",
       R"(t.toml:4:10: error: unknown key "idle_timout" in pool.a.http; did you mean "idle_timeout"?)"},
      {"\"\\u0007\" = 1",
       R"(t.toml:4:1: error: unknown key "\\x07" in pool.a; known here: listen, workers, concurrency, threads, request_timeout, max_connections, user, group, umask, start_timeout, start_attempts, graceful_timeout, max_backoff, max_requests, max_requests_jitter, max_lifetime, max_lifetime_jitter, max_memory, memory_measure, memory_grace, max_unavailable, rlimits, http, static_map, path_prefix, trusted_proxies, forwarded, stream, access_log, static, respond, echo, exec, wsgi, module, status)"},
      // later versions
      {"asgi = { app = \"a:b\" }",
       R"(t.toml:4:1: error: "asgi" in pool.a is not part of this version; this version runs: static, respond, echo, exec, wsgi, module, status)"},
      // choices
      {"concurrency = \"evnt\"",
       R"(t.toml:4:15: error: pool.a.concurrency = "evnt" is not known; did you mean "event"? it can be "event", "thread" or "process")"},
      {"concurrency = \"fast\"",
       R"(t.toml:4:15: error: pool.a.concurrency = "fast" is not known; write "event", "thread" or "process")"},
      // types
      {"workers = true",
       R"(t.toml:4:11: error: pool.a.workers cannot be a boolean; write a whole number from 1 to 1024, or "auto")"},
      {"workers = \"many\"",
       R"(t.toml:4:11: error: pool.a.workers cannot be a string; write a whole number from 1 to 1024, or "auto")"},
      {"workers = 1.5",
       R"(t.toml:4:11: error: pool.a.workers cannot be a decimal number; write a whole number from 1 to 1024, or "auto")"},
      {"workers = 2020-01-01",
       R"(t.toml:4:11: error: pool.a.workers cannot be a date; write a whole number from 1 to 1024, or "auto")"},
      {"workers = []",
       R"(t.toml:4:11: error: pool.a.workers cannot be a list; write a whole number from 1 to 1024, or "auto")"},
      {"user = 33", R"(t.toml:4:8: error: pool.a.user cannot be a whole number; write a string)"},
      {"http.server_header = \"yes\"",
       R"(t.toml:4:22: error: pool.a.http.server_header cannot be a string; write true or false)"},
      {"http.server_header = 1",
       R"(t.toml:4:22: error: pool.a.http.server_header cannot be a whole number; write true or false)"},
      {"http = 3", R"(t.toml:4:8: error: pool.a.http cannot be a whole number; write a table)"},
      // ranges
      {"workers = 0",
       R"(t.toml:4:11: error: pool.a.workers = 0 is out of range; write a whole number from 1 to 1024, or "auto")"},
      {"workers = 1025",
       R"(t.toml:4:11: error: pool.a.workers = 1025 is out of range; write a whole number from 1 to 1024, or "auto")"},
      {"workers = -1",
       R"(t.toml:4:11: error: pool.a.workers = -1 is out of range; write a whole number from 1 to 1024, or "auto")"},
      {"start_timeout = \"0\"",
       R"(t.toml:4:17: error: pool.a.start_timeout = "0" is out of range; write a duration from "1ms" to "1d", such as "30s")"},
      {"http.send_timeout = \"2d\"",
       R"(t.toml:4:21: error: pool.a.http.send_timeout = "2d" is out of range; write a duration from "1ms" to "1d", such as "30s")"},
      {"http.max_header = \"2MiB\"",
       R"(t.toml:4:19: error: pool.a.http.max_header = "2MiB" is out of range; write a size from "1KiB" to "1MiB", such as "64KiB")"},
      // units
      {"graceful_timeout = 30",
       R"(t.toml:4:20: error: pool.a.graceful_timeout = 30 has no unit; write "30s" or "30ms")"},
      {"graceful_timeout = \"30\"",
       R"(t.toml:4:20: error: pool.a.graceful_timeout: "30" has no unit; write "30s" or "30ms")"},
      {"graceful_timeout = \"30 sec\"",
       R"(t.toml:4:20: error: pool.a.graceful_timeout: "30 sec" is not a duration; write for example "250ms", "30s", "1h30m")"},
      {"graceful_timeout = -1",
       R"(t.toml:4:20: error: pool.a.graceful_timeout = -1 is out of range; write a duration from "0" to "1d", such as "30s")"},
      {"graceful_timeout = true",
       R"(t.toml:4:20: error: pool.a.graceful_timeout cannot be a boolean; write a duration from "0" to "1d", such as "30s")"},
      {"http.max_header = 64",
       R"(t.toml:4:19: error: pool.a.http.max_header = 64 has no unit; write "64B" or "64KiB")"},
      {"http.max_header = \"64K\"",
       R"(t.toml:4:19: error: pool.a.http.max_header: "64K" is not a size; write for example "512B", "64KiB", "10MiB")"},
      {"rlimits.core = \"unlimitd\"",
       R"(t.toml:4:16: error: pool.a.rlimits.core: "unlimitd" is not a size; did you mean "unlimited"? it can be a size, such as "64KiB", or "inherit", "unlimited")"},
      {"rlimits.nofile = \"unlimited\"",
       R"(t.toml:4:18: error: pool.a.rlimits.nofile cannot be a string; write a whole number from 64 to 2147483584, or "inherit")"},
      // permission bits
      {"umask = 22",
       R"(t.toml:4:9: error: pool.a.umask = 22 is not in quotes; write permission bits from "0000" to "0777", such as "0660")"},
      {"umask = \"0888\"",
       R"(t.toml:4:9: error: pool.a.umask = "0888" is not an octal number; write permission bits from "0000" to "0777", such as "0660")"},
      {"umask = \"\"",
       R"(t.toml:4:9: error: pool.a.umask = "" is not an octal number; write permission bits from "0000" to "0777", such as "0660")"},
      {"umask = \"01777\"",
       R"(t.toml:4:9: error: pool.a.umask = "01777" is out of range; write permission bits from "0000" to "0777", such as "0660")"},
      // texts
      {"user = \"a\\u0000b\"",
       R"(t.toml:4:8: error: pool.a.user = "a\u0000b" has a control character; write printable text)"},
      {"user = \"\\u001b[31m\"",
       R"(t.toml:4:8: error: pool.a.user = "\u001B[31m" has a control character; write printable text)"},
  }));
  CAPTURE(c.keys);
  CHECK(errors_in_pool(c.keys) == Texts{std::string{c.error}});
}

TEST_CASE("each mistake in a whole file is told at its place with what to write instead") {
  struct Case {
    std::string_view text;
    Texts errors;
  };
  const auto c = GENERATE(values<Case>({
      {"",
       {R"(t.toml: error: no [pool.NAME] table; a pool needs listen and static, such as: [pool.site] listen = ["127.0.0.1:8080"] static = { root = "/var/www/html" })"}},
      {"[pool]",
       {R"(t.toml: error: no [pool.NAME] table; a pool needs listen and static, such as: [pool.site] listen = ["127.0.0.1:8080"] static = { root = "/var/www/html" })"}},
      {"pool = 3", {"t.toml:1:8: error: pool cannot be a whole number; write [pool.NAME]"}},
      {"[[pool]]", {"t.toml:1:1: error: pool cannot be a list; write [pool.NAME]"}},
      {"[pool]\nworkers = 4",
       {R"(t.toml:2:1: error: pool.workers cannot be a whole number; "workers" is a pool's name here; keys of a pool stand in [pool.NAME])"}},
      {"[pool.a]",
       {R"(t.toml:1:1: error: pool.a has no listen; write listen = ["0.0.0.0:8080", "[::]:8080"])",
        R"(t.toml:1:1: error: pool.a does not say what to run; write static = { root = "/var/www/html" })"}},
      {"[pool.a]\nlisten = []\nstatic.root = \"/\"",
       {R"(t.toml:2:10: error: pool.a.listen has 0 entries; write a list of 1 to 64 addresses, such as ["127.0.0.1:8080"])"}},
      {"[pool.a]\nlisten = \"127.0.0.1:80\"\nstatic.root = \"/\"",
       {R"(t.toml:2:10: error: pool.a.listen cannot be a string; write a list of 1 to 64 addresses, such as ["127.0.0.1:8080"])"}},
      {"[pool.a]\nlisten = [80]\nstatic.root = \"/\"",
       {R"(t.toml:2:11: error: pool.a.listen[0] cannot be a whole number; write an address such as "127.0.0.1:8080", or a table with one)"}},
      {"[pool.a]\nlisten = [\"\"]\nstatic.root = \"/\"",
       {R"(t.toml:2:11: error: pool.a.listen[0] = "" is empty; write a string)"}},
      {"[pool.a]\nlisten = [{ mode = \"0600\" }]\nstatic.root = \"/\"",
       {R"(t.toml:2:11: error: pool.a.listen[0] has no address; write address = "127.0.0.1:8080")"}},
      {"[pool.a]\nlisten = [\"a\", { address = \"b\", backlog = 0, mod = 1 }]\nstatic.root = \"/\"",
       {R"(t.toml:2:43: error: pool.a.listen[1].backlog = 0 is out of range; write a whole number from 1 to 65535)",
        R"(t.toml:2:46: error: unknown key "mod" in pool.a.listen[1]; did you mean "mode"?)"}},
      {"[pool.a]\nlisten = [\"a\"]\nstatic = {}",
       {R"(t.toml:3:10: error: pool.a.static has no root; write root = "/var/www/html")"}},
      {"[pool.a]\nlisten = [\"a\"]\nstatic.root = \"\"",
       {R"(t.toml:3:15: error: pool.a.static.root = "" is empty; write a path)"}},
      {"[pool.a]\nlisten = [\"a\"]\nstatic = { root = \"/\", index = [\"a\", 3, \"\"] }",
       {"t.toml:3:38: error: pool.a.static.index[1] cannot be a whole number; write a string",
        "t.toml:3:41: error: pool.a.static.index[2] is empty; leave the entry out"}},
      {"[pool.a]\nlisten = [\"a\"]\nasgi = { file = \"x\" }",
       {R"(t.toml:3:1: error: "asgi" in pool.a is not part of this version; this version runs: static, respond, echo, exec, wsgi, module, status)"}},
      {"[pool.\"a b\"]\nlisten = [\"a\"]\nstatic.root = \"/\"",
       {R"(t.toml:1:7: error: "a b" is no name for a pool; use 1 to 64 ASCII letters, digits, _ and -)"}},
      {"[pool.\"\"]\nlisten = [\"a\"]\nstatic.root = \"/\"",
       {R"(t.toml:1:7: error: "" is no name for a pool; use 1 to 64 ASCII letters, digits, _ and -)"}},
      {"[pools.a]\nx = 1\n[pool.a]\nlisten = [\"a\"]\nstatic.root = \"/\"",
       {R"(t.toml:1:2: error: unknown key "pools" at the top level; did you mean "pool"?)"}},
      {"workers = 1\n[pool.a]\nlisten = [\"a\"]\nstatic.root = \"/\"",
       {R"(t.toml:1:1: error: unknown key "workers" at the top level; it belongs in pool.NAME)"}},
      {"[log]\ntarget = \"journald\"\nlevel = \"warning\"\n[pool.a]\nlisten = [\"a\"]\nstatic.root = \"/\"",
       {R"(t.toml:2:10: error: log.target = "journald" is not known; did you mean "journal"? it can be "auto", "journal", "stderr" or a path with a slash)",
        R"(t.toml:3:9: error: log.level = "warning" is not known; write "debug", "info", "warn" or "error")"}},
      {"[pool.a]\nlisten = [\"a\"]\nstatic.root = \"/\"\n[pool.a]",
       {"t.toml:4:1: error: not TOML: Error while parsing table header: cannot redefine existing table 'pool.a'"}},
      {"[pool.a", {"t.toml:1:8: error: not TOML: Error while parsing table header: encountered end-of-file"}},
      {"a = \n", {R"(t.toml:1:5: error: not TOML: Error while parsing key-value pair: expected value, saw '\n')"}},
  }));
  CAPTURE(c.text);
  CHECK(errors_of(c.text) == c.errors);
}

TEST_CASE("all mistakes are told at once, in the order of the file") {
  CHECK(
      errors_of(R"([pool.b]
listen = ["127.0.0.1:80"]
workers = 0
static = { root = "/", indx = [] }
[pool.a]
listen = 5
static = { root = 1 }
[log]
level = 1
)") ==
      Texts{
          R"(t.toml:3:11: error: pool.b.workers = 0 is out of range; write a whole number from 1 to 1024, or "auto")",
          R"(t.toml:4:24: error: unknown key "indx" in pool.b.static; did you mean "index"?)",
          R"(t.toml:6:10: error: pool.a.listen cannot be a whole number; write a list of 1 to 64 addresses, such as ["127.0.0.1:8080"])",
          R"(t.toml:7:19: error: pool.a.static.root cannot be a whole number; write a path)",
          R"(t.toml:9:9: error: log.level cannot be a whole number; write "debug", "info", "warn" or "error")",
      });
}

TEST_CASE("what was understood is there in spite of mistakes, the rest has its default") {
  const Loaded loaded = load_text(std::string{kPool} + "workers = 0\nmax_connections = 5\n", "t.toml");
  REQUIRE(loaded.diagnostics.size() == 1);
  REQUIRE(loaded.config != nullptr);
  CHECK(loaded.config->pools.at(0).max_connections == 5);
  CHECK_FALSE(loaded.config->pools.at(0).workers.has_value());
}

TEST_CASE("at most 64 addresses are taken") {
  const auto pool_with = [](int count) {
    std::string text = "[pool.a]\nstatic.root = \"/\"\nlisten = [";
    for (int i = 0; i < count; ++i) text += "\"127.0.0.1:80\",";
    return errors_of(text + "]");
  };
  CHECK(pool_with(64) == none());
  CHECK(
      pool_with(65) ==
      Texts{
          R"(t.toml:3:10: error: pool.a.listen has 65 entries; write a list of 1 to 64 addresses, such as ["127.0.0.1:8080"])"});
}

TEST_CASE("bytes that are no TOML are a mistake and nothing worse") {
  const auto text = GENERATE(as<std::string>{}, std::string("\0", 1), std::string("a = \"\0\"", 7), "\xff\xfe",
                             "a = \"\xc3\"", "\xed\xa0\x80 = 1", "a = '''", "[[[[[[", "{", "]", "=", "\"");
  CAPTURE(text);
  const Loaded loaded = load_text(text, "t.toml");
  CHECK(loaded.diagnostics.size() == 1);
  CHECK(loaded.config == nullptr);
}

TEST_CASE("nesting that would exhaust the stack is refused") {
  const auto repeated = [](std::string_view part, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += part;
    return text;
  };
  const Texts refused{"t.toml:2:1: error: nested too deeply; at most 16 dots in a key and 32 open brackets"};
  CHECK(errors_of("\na" + repeated(".a", 300'000) + " = 1") == refused);
  CHECK(errors_of("\n[a" + repeated(".a", 300'000) + "]") == refused);
  CHECK(errors_of("\na = " + repeated("[", 300'000)) == refused);
  CHECK(errors_of("\na = " + repeated("{a=", 300'000)) == refused);
  CHECK(errors_of("\nb = \"\\\"\"\na" + repeated(".a", 17) + " = 1") ==
        Texts{"t.toml:3:1: error: nested too deeply; at most 16 dots in a key and 32 open brackets"});
}

TEST_CASE("dots and brackets in strings, comments and lists of numbers are no nesting") {
  const std::string many(1'000, '.');
  const std::string brackets(1'000, '[');
  const Texts errors =
      errors_of("# " + many + brackets + "\na = \"" + many + brackets + "\"\nb = '''\n" + many + "'\n" + brackets +
                "''''\nc = \"\"\"\\\"\"\"" + many + brackets +
                "\"\"\"\nd = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, "
                "1.0, 1.0, 1.0, 1.0]\n" +
                std::string{kPool});
  CHECK(errors.size() == 4);  // the four unknown keys
}

TEST_CASE("include in a text that is no file is refused") {
  CHECK(errors_of("include = []\n" + std::string{kPool}) ==
        Texts{"t.toml:1:1: error: include inside an included file; list every file in the main file"});
}

TEST_CASE("included files add their pools, in sorted order, and resolve paths from their own folder") {
  const test::Folder folder;
  const std::string main =
      folder.write("p.toml", "include = [\"conf.d/*.toml\", \"more.toml\", \"none/*.toml\"]\n" + std::string{kPool});
  const std::string b = folder.write("conf.d/b.toml", "[pool.b]\nlisten=[\"b\"]\nstatic.root=\"html\"\n");
  const std::string c =
      folder.write("conf.d/a.toml", "[pool.c]\nlisten=[\"c\"]\nstatic.root=\"/\"\n[log]\nlevel=\"error\"\n");
  const std::string d = folder.write("more.toml", "[pool.d]\nlisten=[\"d\"]\nstatic.root=\"/\"\n");
  (void)folder.write("conf.d/ignored.conf", "x");
  const Loaded loaded = load_file(main);
  const Config& config = good(loaded);
  Texts names;
  for (const PoolConfig& pool : config.pools) names.push_back(pool.name);
  CHECK(names == Texts{"a", "c", "b", "d"});
  CHECK(config.sources == Texts{main, c, b, d});
  CHECK(std::get<StaticConfig>(config.pools[2].app).root == folder.path("conf.d/html"));
  CHECK(config.log.level == LogLevel::kError);
  CHECK(to_text(config.pools[2].position) == b + ":1:1");
}

TEST_CASE("a file that two patterns match, or the main file itself, is read once") {
  const test::Folder folder;
  const std::string main = folder.write("p.toml", "include = [\"*.toml\", \"b*\"]\n" + std::string{kPool});
  const std::string b = folder.write("b.toml", "[pool.b]\nlisten=[\"b\"]\nstatic.root=\"/\"\n");
  const Loaded loaded = load_file(main);
  CHECK(good(loaded).sources == Texts{main, b});
}

TEST_CASE("mistakes of included files are told with those of the main file, in the order of reading") {
  const test::Folder folder;
  const std::string main = folder.write(
      "p.toml", "include = [\"z.toml\", \"a.toml\", \"gone.toml\", \"dir\"]\nx = 1\n" + std::string{kPool});
  const std::string z = folder.write("z.toml", "[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"\nworkers = 0\n");
  const std::string a = folder.write("a.toml", "include = [\"b.toml\"]\n= oops");
  (void)folder.write("dir/file", "");
  CHECK(texts(load_file(main).diagnostics) ==
        Texts{
            main + R"(:1:32: error: cannot read ")" + folder.path("gone.toml") + R"(": No such file or directory)",
            main + R"(:1:45: error: cannot read ")" + folder.path("dir") +
                R"(": it is a directory; give the path of a file)",
            main + R"(:2:1: error: unknown key "x" at the top level; known here: include, log, control, pool)",
            z + ":1:1: error: pool.a is defined twice; the first one is at " + main + ":3:1",
            z + R"(:4:11: error: pool.a.workers = 0 is out of range; write a whole number from 1 to 1024, or "auto")",
            a + ":2:1: error: not TOML: Error while parsing root table: expected keys, tables, whitespace or comments, "
                "saw '='",
        });
}

TEST_CASE("a pool that is defined twice is there once, as it was first") {
  const test::Folder folder;
  const std::string main = folder.write("p.toml", "include = [\"b.toml\"]\n[log]\n" + std::string{kPool});
  const std::string b = folder.write("b.toml", "[log]\n[pool.a]\nlisten=[\"b\"]\nstatic.root=\"/\"\n");
  const Loaded loaded = load_file(main);
  CHECK(texts(loaded.diagnostics) ==
        Texts{b + ":1:1: error: log is defined twice; the first one is at " + main + ":2:1",
              b + ":2:1: error: pool.a is defined twice; the first one is at " + main + ":3:1"});
  REQUIRE(loaded.config->pools.size() == 1);
  CHECK(loaded.config->pools[0].listen.at(0).address == "127.0.0.1:80");
}

TEST_CASE("an include inside an included file is refused") {
  const test::Folder folder;
  const std::string main = folder.write("p.toml", "include = [\"b.toml\"]\n" + std::string{kPool});
  const std::string b = folder.write("b.toml", "include = [\"c.toml\"]\n");
  CHECK(texts(load_file(main).diagnostics) ==
        Texts{b + ":1:1: error: include inside an included file; list every file in the main file"});
}

TEST_CASE("a file that cannot be read is told by its path and the reason") {
  const test::Folder folder;
  const std::string gone = folder.path("gone.toml");
  CHECK(texts(load_file(gone).diagnostics) ==
        Texts{gone + ": error: cannot read \"" + gone + "\": No such file or directory"});
  CHECK(load_file(gone).config == nullptr);
  CHECK(texts(load_file(folder.path()).diagnostics) == Texts{folder.path() + ": error: cannot read \"" + folder.path() +
                                                             "\": it is a directory; give the path of a file"});
  const std::string fifo = folder.path("fifo");
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(texts(load_file(fifo).diagnostics) ==
        Texts{fifo + ": error: cannot read \"" + fifo + "\": it is not a regular file"});
  if (geteuid() == 0) return;  // root may read everything
  const std::string secret = folder.write("secret.toml", "");
  REQUIRE(chmod(secret.c_str(), 0) == 0);
  CHECK(texts(load_file(secret).diagnostics) ==
        Texts{secret + ": error: cannot read \"" + secret + "\": Permission denied"});
}

TEST_CASE("a file over 1 MiB is refused, one of just 1 MiB is not") {
  const test::Folder folder;
  std::string text{kPool};
  text.resize(kLargestFile, '\n');
  CHECK(texts(load_file(folder.write("full.toml", text)).diagnostics) == none());
  const std::string large = folder.write("large.toml", text + "\n");
  CHECK(texts(load_file(large).diagnostics) ==
        Texts{large + ": error: cannot read \"" + large +
              "\": it is larger than 1MiB; a configuration is not that long; split it with include if it really is"});
}

}  // namespace prong::config
