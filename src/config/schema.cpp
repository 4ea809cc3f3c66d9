#include "config/schema.hpp"

#include <algorithm>
#include <array>

#include "config/member.hpp"

namespace prong::config {
namespace {

constexpr auto kMillisecond = std::uint64_t{1};
constexpr auto kSecond = 1'000 * kMillisecond;
constexpr auto kHour = 3'600 * kSecond;
constexpr auto kDay = 24 * kHour;
constexpr auto kKibibyte = std::uint64_t{1} << 10U;
constexpr auto kMebibyte = std::uint64_t{1} << 20U;
constexpr auto kGibibyte = std::uint64_t{1} << 30U;

// Texts: PATH_MAX of linux/limits.h, its final zero included, is the longest path; user and group names are shorter
// than 256 bytes on any system (LOGIN_NAME_MAX).
constexpr Range kAnyText{.least = 0, .most = 255};
constexpr Range kSomeText{.least = 1, .most = 255};
constexpr Range kPathText{.least = 1, .most = 4095};

// Timeouts may be short in tests, and nobody waits longer than a day for one.
constexpr Range kTimeout{.least = kMillisecond, .most = kDay};

// ---- [log]

constexpr std::array kLogTargets{
    Word{.text = "auto", .doc = "the journal when systemd started prongd, else stderr"},
    Word{.text = "journal", .doc = "the systemd journal, with fields"},
    Word{.text = "stderr", .doc = "standard error"},
};

constexpr std::array kLogKeys{
    Key{.name = "target",
        .access = member<&LogConfig::target>(Kind::kPath),
        .range = kPathText,
        .words = kLogTargets,
        .example = R"("/var/log/prongd/prongd.log")",
        .doc = "Where the process log goes. A file is given by a path with a slash; USR1 reopens it."},
    Key{.name = "level",
        .access = member<&LogConfig::level>(),
        .doc = "The least important lines that are still written."},
    Key{.name = "color",
        .access = member<&LogConfig::color>(),
        .doc = "Colours on stderr; `auto`: only on a terminal."},
};

constexpr Section kLog{
    .title = "[log]",
    .doc = "The process log: what master and workers say about themselves.",
    .keys = kLogKeys,
    .defaults = defaults_of<LogConfig>,
};

// ---- entries of `listen`

constexpr std::array kKernelBuffer{Word{.text = "auto", .doc = "the kernel sizes the buffer"}};
constexpr Range kBuffer{.least = kKibibyte, .most = kGibibyte};

constexpr std::array kListenKeys{
    Key{.name = "address",
        .access = member<&ListenerConfig::address>(),
        .presence = Presence::kRequired,
        .range = kSomeText,
        .example = R"("127.0.0.1:8080")",
        .doc =
            "Where to listen: `HOST:PORT` with a numeric address (`0.0.0.0:80`, `[::]:80`), `unix:/PATH`, `unix:@NAME` "
            "(abstract), or `systemd:NAME`, a socket that systemd passed under that FileDescriptorName."},
    Key{.name = "backlog",
        .access = member<&ListenerConfig::backlog>(),
        .range = {1, 65'535},
        .unit = "connections",
        .doc = "Connections that may wait to be accepted. The kernel cuts it to net.core.somaxconn."},
    Key{.name = "reuse_address",
        .access = member<&ListenerConfig::reuse_address>(),
        .takes_effect = TakesEffect::kRestart,
        .doc = "SO_REUSEADDR: bind although old connections of the port are still in TIME_WAIT."},
    Key{.name = "v6only",
        .access = member<&ListenerConfig::v6only>(),
        .takes_effect = TakesEffect::kRestart,
        .doc = "IPV6_V6ONLY: an IPv6 listener takes no IPv4 connections."},
    Key{.name = "defer_accept",
        .access = member<&ListenerConfig::defer_accept>(),
        .range = {0, kHour},
        .doc =
            "TCP_DEFER_ACCEPT: hand a connection over when its first bytes have arrived, or after this time, rounded "
            "up to seconds. `\"0\"` turns it off."},
    Key{.name = "keepalive",
        .access = member<&ListenerConfig::keepalive>(),
        .doc = "SO_KEEPALIVE: probe silent TCP connections, so that vanished clients are noticed."},
    Key{.name = "nodelay",
        .access = member<&ListenerConfig::nodelay>(),
        .doc = "TCP_NODELAY: send small answers at once."},
    Key{.name = "free_bind",
        .access = member<&ListenerConfig::free_bind>(),
        .takes_effect = TakesEffect::kRestart,
        .doc = "IP_FREEBIND: bind an address that no interface has yet."},
    Key{.name = "receive_buffer",
        .access = member<&ListenerConfig::receive_buffer>(),
        .range = kBuffer,
        .words = kKernelBuffer,
        .example = R"("256KiB")",
        .doc = "SO_RCVBUF of the connections. Back to `auto` takes a restart."},
    Key{.name = "send_buffer",
        .access = member<&ListenerConfig::send_buffer>(),
        .range = kBuffer,
        .words = kKernelBuffer,
        .example = R"("256KiB")",
        .doc = "SO_SNDBUF of the connections. Back to `auto` takes a restart."},
    Key{.name = "mode",
        .access = member<&ListenerConfig::mode>(Kind::kOctal),
        .range = {0, 0777},
        .example = R"("0660")",
        .doc = "Permissions of a UNIX socket's file; connecting needs write permission."},
    Key{.name = "owner",
        .access = member<&ListenerConfig::owner>(),
        .range = kAnyText,
        .example = R"("www-data")",
        .doc = "Owner of a UNIX socket's file, a name or a number. Empty: the user of the master."},
    Key{.name = "group",
        .access = member<&ListenerConfig::group>(),
        .range = kAnyText,
        .example = R"("www-data")",
        .doc = "Group of a UNIX socket's file, a name or a number. Empty: the group of the master."},
};

constexpr Section kListener{
    .title = "listen",
    .doc =
        "An entry of a pool's `listen` is an address, or a table with the address and what differs from the defaults: "
        "`listen = [\"[::]:8080\", { address = \"unix:/run/prongd/site.sock\", mode = \"0660\" }]`. A listener whose "
        "address a reload keeps is never closed: it gets the new values of the other keys, for new connections.",
    .keys = kListenKeys,
    .defaults = defaults_of<ListenerConfig>,
    .label = MemberAccess<&ListenerConfig::address>::label,
    .set_label = MemberAccess<&ListenerConfig::address>::set_label,
    .place = MemberAccess<&ListenerConfig::position>::place,
};

// ---- rlimits

constexpr Word kInherit{.text = "inherit", .doc = "what the master has"};
constexpr std::array kInheritOnly{kInherit};
constexpr std::array kInheritOrUnlimited{kInherit,
                                         Word{.text = "unlimited", .doc = "RLIM_INFINITY", .number = kUnlimited.bytes}};

constexpr std::array kRlimitKeys{
    Key{.name = "nofile",
        .access = member<&RlimitsConfig::nofile>(),
        // A worker needs about 20 besides its connections; the ceiling is the kernel's own for fs.nr_open
        // (sysctl_nr_open_max in fs/file.c).
        .range = {64, 2'147'483'584},
        .unit = "descriptors",
        .words = kInheritOnly,
        .example = "65536",
        .doc = "RLIMIT_NOFILE: open descriptors; each connection needs one, and one more while it gets a file, so a "
               "worker "
               "holds half as many connections. `\"inherit\"`: as many as the hard limit allows."},
    Key{.name = "core",
        .access = member<&RlimitsConfig::core>(),
        .words = kInheritOrUnlimited,
        .example = R"("unlimited")",
        .doc = "RLIMIT_CORE: size of a core dump; `\"0\"`: none."},
    Key{.name = "address_space",
        .access = member<&RlimitsConfig::address_space>(),
        .range = {16 * kMebibyte, std::numeric_limits<std::int64_t>::max()},
        .words = kInheritOrUnlimited,
        .example = R"("2GiB")",
        .doc = "RLIMIT_AS: the worker's whole address space."},
};

constexpr Section kRlimits{
    .title = "rlimits",
    .doc = "Resource limits of a pool's workers (setrlimit(2)); soft and hard limit become the same.",
    .keys = kRlimitKeys,
    .defaults = defaults_of<RlimitsConfig>,
};

// ---- http

constexpr std::array kHttpKeys{
    Key{.name = "header_timeout",
        .access = member<&HttpConfig::header_timeout>(),
        .range = kTimeout,
        .doc = "From the first byte of a request to the end of its header."},
    Key{.name = "idle_timeout",
        .access = member<&HttpConfig::idle_timeout>(),
        .range = kTimeout,
        .doc = "How long a keep-alive connection may wait for its next request."},
    Key{.name = "send_timeout",
        .access = member<&HttpConfig::send_timeout>(),
        .range = kTimeout,
        .doc = "How long a client may take nothing of an answer that is being sent."},
    Key{.name = "idle_grace",
        .access = member<&HttpConfig::idle_grace>(),
        .range = {.least = 0, .most = kDay},
        .doc = "How long an idle keep-alive connection may still send a last request when the daemon stops; at most "
               "graceful_timeout."},
    Key{.name = "max_header",
        .access = member<&HttpConfig::max_header>(),
        .range = {kKibibyte, kMebibyte},
        .doc = "Request line and headers together; a longer header is answered with 431."},
    Key{.name = "server_header",
        .access = member<&HttpConfig::server_header>(),
        .doc = "Whether answers carry `Server: prongd`."},
};

constexpr Section kHttp{
    .title = "http",
    .doc = "Limits of the HTTP protocol in a pool.",
    .keys = kHttpKeys,
    .defaults = defaults_of<HttpConfig>,
};

// ---- static

constexpr Access root_access() {
  Access access = member<&StaticConfig::root>(Kind::kPath);
  access.place = MemberAccess<&StaticConfig::root_position>::place;
  return access;
}

constexpr std::array kStaticKeys{
    Key{.name = "root",
        .access = root_access(),
        .presence = Presence::kRequired,
        .range = kPathText,
        .example = R"("/var/www/html")",
        .doc = "The directory that is served. Nothing outside it can be reached, through symbolic links neither."},
    Key{.name = "index",
        .access = member<&StaticConfig::index>(),
        .range = {0, 16},
        .doc = "Files to look for, in this order, when a directory is asked for."},
    Key{.name = "default_type",
        .access = member<&StaticConfig::default_type>(),
        .range = kSomeText,
        .doc = "Content-Type of files whose ending says none."},
};

constexpr Section kStatic{
    .title = "static",
    .doc = "App table: the pool serves the files of a directory.",
    .keys = kStaticKeys,
    .defaults = defaults_of<StaticConfig>,
};

// ---- [pool.NAME]

constexpr std::array kAutoWorkers{
    Word{.text = "auto", .doc = "one for each usable CPU (affinity mask and cgroup quota)"}};
constexpr std::array<std::string_view, 2> kLaterConcurrency{"process", "thread"};

constexpr std::array kPoolKeys{
    Key{.name = "listen",
        .access = list<&PoolConfig::listen>(Kind::kListeners),
        .presence = Presence::kRequired,
        .range = {1, 64},
        .section = &kListener,
        .example = R"(["0.0.0.0:8080", "[::]:8080"])",
        .doc = "Where the pool takes connections; an entry is an address or a table, see [listen](#listen)."},
    Key{.name = "workers",
        .access = member<&PoolConfig::workers>(),
        .range = {1, 1'024},
        .unit = "processes",
        .words = kAutoWorkers,
        .example = "4",
        .doc = "How many worker processes."},
    Key{.name = "concurrency",
        .access = member<&PoolConfig::concurrency>(),
        .later = kLaterConcurrency,
        .doc = "How a worker runs the application. `event`: on its I/O thread, for code that never blocks."},
    Key{.name = "max_connections",
        .access = member<&PoolConfig::max_connections>(),
        .range = {1, 1'000'000},
        .unit = "connections",
        .doc = "Connections that one worker holds at once; at the limit it leaves new ones to its siblings."},
    Key{.name = "user",
        .access = member<&PoolConfig::user>(),
        .range = kAnyText,
        .example = R"("www-data")",
        .doc = "User of the workers, a name or a number; needs a master that runs as root. Empty: the user of the "
               "master."},
    Key{.name = "group",
        .access = member<&PoolConfig::group>(),
        .range = kAnyText,
        .example = R"("www-data")",
        .doc = "Group of the workers, a name or a number. Empty: the user's primary group."},
    Key{.name = "umask",
        .access = member<&PoolConfig::umask>(Kind::kOctal),
        .range = {0, 0777},
        .doc = "Permissions that files made by the workers do not get (umask(2))."},
    Key{.name = "start_timeout",
        .access = member<&PoolConfig::start_timeout>(),
        .range = kTimeout,
        .doc = "From the fork of a worker until it says that it is ready; then it is killed."},
    Key{.name = "start_attempts",
        .access = member<&PoolConfig::start_attempts>(),
        .range = {1, 1'000},
        .unit = "starts",
        .doc = "Failed starts of a worker after which the boot, or the reload, is given up."},
    Key{.name = "graceful_timeout",
        .access = member<&PoolConfig::graceful_timeout>(),
        .range = {0, kDay},
        .doc = "How long running and waiting requests are still served when a worker is to stop; then they are cut."},
    Key{.name = "max_backoff",
        .access = member<&PoolConfig::max_backoff>(),
        .range = {kMillisecond, kHour},
        .doc = "The longest pause between two starts of a worker that keeps dying before it is ready."},
    Key{.name = "rlimits",
        .access = table<&PoolConfig::rlimits>(),
        .section = &kRlimits,
        .example = R"({ nofile = 65536 })",
        .doc = "Resource limits of the workers, see [rlimits](#rlimits)."},
    Key{.name = "http",
        .access = table<&PoolConfig::http>(),
        .section = &kHttp,
        .example = R"({ idle_timeout = "30s" })",
        .doc = "Limits of the protocol, see [http](#http)."},
    Key{.name = "static",
        .access = alternative<&PoolConfig::app, StaticConfig>(),
        .presence = Presence::kOneOf,
        .section = &kStatic,
        .example = R"({ root = "/var/www/html" })",
        .doc = "Serve the files of a directory, see [static](#static)."},
};

constexpr std::array<std::string_view, 7> kLaterPoolKeys{"wsgi",    "exec",   "module", "echo",
                                                         "respond", "status", "threads"};

constexpr Section kPool{
    .title = "[pool.NAME]",
    .doc =
        "A pool: the workers of one service. NAME is made of ASCII letters, digits, `_` and `-`, at most 64. Exactly "
        "one app table says what the workers run.",
    .keys = kPoolKeys,
    .later = kLaterPoolKeys,
    .defaults = defaults_of<PoolConfig>,
    .label = MemberAccess<&PoolConfig::name>::label,
    .set_label = MemberAccess<&PoolConfig::name>::set_label,
    .place = MemberAccess<&PoolConfig::position>::place,
};

// ---- top level

constexpr std::array kRootKeys{
    Key{.name = "include",
        .access = {.kind = Kind::kTexts},
        .range = {0, 64},
        .example = R"(["conf.d/*.toml"])",
        .doc =
            "More files, as glob(7) patterns relative to this file's folder, read in sorted order. A pattern may match "
            "nothing, a name without wildcards must exist. Included files cannot include."},
    Key{.name = "log", .access = table<&Config::log>(), .section = &kLog, .doc = "The process log, see [[log]](#log)."},
    Key{.name = "pool",
        .access = list<&Config::pools>(Kind::kPools),
        .presence = Presence::kRequired,
        .section = &kPool,
        .doc = "The pools, one table for each, see [[pool.NAME]](#poolname). At least one."},
};

constexpr Section kRoot{
    .title = "Top level",
    .doc = "What stands before the first table, and the tables there are.",
    .keys = kRootKeys,
    .defaults = defaults_of<Config>,
};

}  // namespace

const Section& root_section() {
  return kRoot;
}

const Key* Section::find(std::string_view name) const {
  const auto found = std::ranges::find(keys, name, &Key::name);
  return found == keys.end() ? nullptr : &*found;
}

bool is_pool_name(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= kLongest && std::ranges::all_of(name, allowed);
}

}  // namespace prong::config
