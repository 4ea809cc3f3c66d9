// The app table `exec`, and what it makes of the keys beside it: a program brings its own protocol, concurrency and
// log, so most of what a pool can say is nothing that prongd could do for it.
#include <algorithm>
#include <array>
#include <string_view>
#include <variant>

#include "config/member.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

constexpr std::uint64_t kHour = 3'600'000;  // milliseconds

constexpr std::array kReadyWords{
    Word{.text = "notify", .doc = "when it sends READY=1 to the socket named in NOTIFY_SOCKET (sd_notify(3))"}};

constexpr Access command_access() {
  Access access = member<&ExecConfig::command>();
  access.place = MemberAccess<&ExecConfig::command_position>::place;
  return access;
}

constexpr std::array kExecKeys{
    Key{.name = "command",
        .access = command_access(),
        .presence = Presence::kRequired,
        .range = {1, 1'000},
        .any_text = true,
        .example = R"(["/bin/date", "-u"])",
        .doc = "The program and its arguments. No shell reads them. A name without a slash is looked for in the "
               "program's PATH, a relative path starts at `cwd`."},
    Key{.name = "style",
        .access = member<&ExecConfig::style>(),
        .doc = "What the program gets. `connection`: one connection as its standard input and output, and ends with "
               "it, as under inetd. `listener`: the listening sockets, as from systemd's socket activation, and "
               "accepts by itself; the pool runs `workers` copies."},
    Key{.name = "env",
        .access = member<&ExecConfig::env>(),
        .range = {0, 1'000},
        .any_text = true,
        .example = R"({ LANG = "C.UTF-8", DATA = "/srv/data" })",
        .doc = "Variables of the program's environment; they win over those of pass_env."},
    Key{.name = "pass_env",
        .access = member<&ExecConfig::pass_env>(),
        .range = {0, 1'000},
        .doc = "Variables that are taken from the master's environment, if it has them. The program sees no others."},
    Key{.name = "cwd",
        .access = member<&ExecConfig::cwd>(Kind::kPath),
        .range = {1, 4'095},
        .example = R"("/srv/app")",
        .doc = "The program's working directory."},
    Key{.name = "spare",
        .access = member<&ExecConfig::spare>(),
        .range = {1, 1'024},
        .unit = "workers",
        .doc = "Style `connection`: how many workers wait for a connection, ready to become the program."},
    Key{.name = "max_connections",
        .access = member<&ExecConfig::max_connections>(),
        .range = {1, 10'000},
        .unit = "programs",
        .doc = "Style `connection`: programs at once in the pool; further connections wait in the backlog."},
    Key{.name = "max_per_address",
        .access = member<&ExecConfig::max_per_address>(),
        .range = {0, 10'000},
        .unit = "programs",
        .doc = "Style `connection`: of them for one client's IP address; a further connection is reset. 0: no limit."},
    Key{.name = "ready",
        .access = member<&ExecConfig::ready>(),
        .range = {0, kHour},
        .words = kReadyWords,
        .doc = "Style `listener`: when a copy counts as ready: after it has lived so long."},
    Key{.name = "nonblocking",
        .access = member<&ExecConfig::nonblocking>(),
        .doc = "Style `listener`: whether the sockets have O_NONBLOCK when the first copies of a program get them. All "
               "copies share it; most servers set what they need, nginx does not and needs `true`."},
    Key{.name = "stop_signal",
        .access = member<&ExecConfig::stop_signal>(),
        .range = {1, 64},
        .example = R"("QUIT")",
        .doc = "The signal that asks the program to stop. KILL follows, see [exec](exec.md)."},
};

// Keys of one style; the others fit both.
constexpr std::array<std::string_view, 3> kConnectionKeys{"spare", "max_connections", "max_per_address"};
constexpr std::array<std::string_view, 2> kListenerKeys{"ready", "nonblocking"};

bool fits_exec(const Key& key, const void* owner) {
  const auto& exec = *static_cast<const ExecConfig*>(owner);
  switch (exec.style) {
    case ExecStyle::kConnection:
      return std::ranges::find(kListenerKeys, key.name) == kListenerKeys.end();
    case ExecStyle::kListener:
      break;
  }
  return std::ranges::find(kConnectionKeys, key.name) == kConnectionKeys.end();
}

// What the master does with processes whatever they run, and what child_setup does for them.
constexpr std::array<std::string_view, 9> kExecPoolKeys{
    "listen",           "user",       "group", "umask", "rlimits", "start_timeout", "start_attempts",
    "graceful_timeout", "max_backoff"};

// Keys that say something only together with another one.
bool fits_application(std::string_view name, const PoolConfig& pool) {
  if (name == "stream") return runs_streams(pool.app);
  if (name == "http" || name == "access_log" || name == "static_map" || name == "path_prefix" ||
      name == "trusted_proxies")
    return !runs_streams(pool.app);
  if (name == "forwarded") return !runs_streams(pool.app) && !pool.trusted_proxies.empty();
  if (name == "threads") return pool.concurrency == Concurrency::kThread;
  if (name == "max_requests_jitter") return pool.max_requests > 0;
  if (name == "max_lifetime_jitter") return pool.max_lifetime.count() > 0;
  if (name == "memory_measure" || name == "memory_grace") return pool.max_memory.has_value();
  return true;
}

}  // namespace

constexpr Section kExecSection{
    .title = "exec",
    .doc = "App table: the workers become a program, of any language. See [programs](exec.md).",
    .keys = kExecKeys,
    .defaults = defaults_of<ExecConfig>,
    .fits = fits_exec,
};

bool fits_pool(const Key& key, const void* owner) {
  const auto& pool = *static_cast<const PoolConfig*>(owner);
  const auto* exec = std::get_if<ExecConfig>(&pool.app);
  if (key.presence == Presence::kOneOf) return true;
  if (exec == nullptr) return fits_application(key.name, pool);
  if (key.name == "workers") return exec->style == ExecStyle::kListener;
  return std::ranges::find(kExecPoolKeys, key.name) != kExecPoolKeys.end();
}

}  // namespace prong::config
