#include "config/schema.hpp"

#include <algorithm>
#include <array>

#include "base/characters.hpp"
#include "config/member.hpp"

namespace prong::config {
namespace {

constexpr auto kMillisecond = std::uint64_t{1};
constexpr auto kSecond = 1'000 * kMillisecond;
constexpr auto kHour = 3'600 * kSecond;
constexpr auto kDay = 24 * kHour;
constexpr auto kYear = 365 * kDay;
constexpr auto kKibibyte = std::uint64_t{1} << 10U;
constexpr auto kMebibyte = std::uint64_t{1} << 20U;
constexpr auto kGibibyte = std::uint64_t{1} << 30U;
constexpr auto kTebibyte = std::uint64_t{1} << 40U;
constexpr std::uint64_t kSmallestLine = 128;  // room for a short request

// Texts: PATH_MAX of linux/limits.h, its final zero included, is the longest path; user and group names are shorter
// than 256 bytes on any system (LOGIN_NAME_MAX).
constexpr Range kAnyText{.least = 0, .most = 255};
constexpr Range kSomeText{.least = 1, .most = 255};
constexpr Range kPathText{.least = 1, .most = 4095};

// Larger than any worker will ever count.
constexpr std::uint64_t kMostRequests = 1'000'000'000'000;

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

// ---- [control]

// sockaddr_un.sun_path, its final zero included (unix(7)).
constexpr Range kSocketPathText{.least = 1, .most = 107};

constexpr std::array kControlSockets{
    Word{.text = kControlAuto,
         .doc = "`control.sock` in systemd's `RuntimeDirectory=`, else in `/run/prongd` (root), else in "
                "`$XDG_RUNTIME_DIR/prongd`; where none of them can be, the daemon runs without"},
    Word{.text = kControlOff, .doc = "no control socket"},
};

constexpr std::array kControlKeys{
    Key{.name = "socket",
        .access = member<&ControlConfig::socket>(Kind::kPath),
        .range = kSocketPathText,
        .words = kControlSockets,
        .whole_path = true,  // prongctl looks for it from anywhere
        .example = R"("/run/prongd/control.sock")",
        .doc = "The UNIX socket of `prongctl` ([control](control.md)). A path begins with `/`."},
    Key{.name = "mode",
        .access = member<&ControlConfig::mode>(Kind::kOctal),
        .range = {0, 0777},
        .example = R"("0600")",
        .doc = "Permissions of the socket's file; connecting needs write permission."},
    Key{.name = "group",
        .access = member<&ControlConfig::group>(),
        .range = kAnyText,
        .example = R"("adm")",
        .doc =
            "The group of the socket's file, a name or a number: its members may ask, beside root and the daemon's own "
            "user. Empty: nobody else may."},
    Key{.name = "max_clients",
        .access = member<&ControlConfig::max_clients>(),
        .range = {1, 1'024},
        .unit = "clients",
        .doc = "Clients at once; a further one takes the place of the one that has been silent the longest."},
    Key{.name = "max_line",
        .access = member<&ControlConfig::max_line>(),
        .range = {kKibibyte, kMebibyte},
        .doc = "One request; the client of a longer one is told so and cut."},
    Key{.name = "idle_timeout",
        .access = member<&ControlConfig::idle_timeout>(),
        .range = kTimeout,
        .doc = "How long a client may take for a whole request, and to read an answer."},
};

constexpr Section kControl{
    .title = "[control]",
    .doc = "The control socket, over which `prongctl` asks and steers.",
    .keys = kControlKeys,
    .defaults = defaults_of<ControlConfig>,
};

// ---- entries of `listen`

constexpr std::array kAutoDefer{
    Word{.text = "auto", .doc = "`\"1s\"` where the client speaks first (HTTP), off elsewhere"}};
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
        .words = kAutoDefer,
        .example = R"("0")",
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
        .doc = "In each such time a client has to take min_send_rate of an answer that is being sent, and at least one "
               "byte, else the connection is cut."},
    Key{.name = "min_send_rate",
        .access = member<&HttpConfig::min_send_rate>(),
        .range = {0, kGibibyte},
        .doc =
            "Bytes per second that a client has to take of an answer, on average of a send_timeout; `\"0\"`: at all."},
    Key{.name = "idle_grace",
        .access = member<&HttpConfig::idle_grace>(),
        .range = {.least = 0, .most = kDay},
        .doc = "How long an idle keep-alive connection may still send a last request when the daemon stops; at most "
               "graceful_timeout."},
    Key{.name = "max_header",
        .access = member<&HttpConfig::max_header>(),
        .range = {kKibibyte, kMebibyte},
        .doc = "Request line and headers together; a longer header is answered with 431."},
    Key{.name = "max_request_line",
        .access = member<&HttpConfig::max_request_line>(),
        .range = {kSmallestLine, kMebibyte},
        .doc = "The request line; a longer one is answered with 414."},
    Key{.name = "max_header_line",
        .access = member<&HttpConfig::max_header_line>(),
        .range = {kSmallestLine, kMebibyte},
        .doc = "One header, its name and value; a longer one is answered with 431."},
    Key{.name = "max_headers",
        .access = member<&HttpConfig::max_headers>(),
        .range = {1, 10'000},
        .unit = "headers",
        .doc = "Headers of one request; more are answered with 431."},
    Key{.name = "max_body",
        .access = member<&HttpConfig::max_body>(),
        .range = {0, kTebibyte},
        .doc = "The body of a request; a larger one is answered with 413."},
    Key{.name = "body_buffer",
        .access = member<&HttpConfig::body_buffer>(),
        .range = {0, kGibibyte},
        .doc =
            "Of a body that the application wants: what is kept in memory; a larger body goes to an unlinked file in "
            "body_dir."},
    Key{.name = "body_dir",
        .access = member<&HttpConfig::body_dir>(Kind::kPath),
        .range = kPathText,
        .example = R"("/var/tmp")",
        .doc =
            "The directory of bodies that are larger than body_buffer, and of streamed answers beyond output_buffer."},
    Key{.name = "body_timeout",
        .access = member<&HttpConfig::body_timeout>(),
        .range = kTimeout,
        .doc = "In each such time the body of a request has to bring min_body_rate, and at least one byte, else it is "
               "answered with 408."},
    Key{.name = "min_body_rate",
        .access = member<&HttpConfig::min_body_rate>(),
        .range = {0, kGibibyte},
        .doc = "Bytes per second that a body has to bring, on average of a body_timeout; `\"0\"`: at all."},
    Key{.name = "output_buffer",
        .access = member<&HttpConfig::output_buffer>(),
        .range = {kKibibyte, kGibibyte},
        .doc =
            "How much of an answer that an application streams waits in memory for one slow client; then output_spool "
            "begins."},
    Key{.name = "output_spool",
        .access = member<&HttpConfig::output_spool>(),
        .range = {0, kTebibyte},
        .doc =
            "How much more of a streamed answer waits in an unlinked file in body_dir, in `thread` and `process`; then "
            "the application waits. `\"0\"`: it waits at once, and slow clients of streamed answers keep application "
            "threads."},
    Key{.name = "keepalive_requests",
        .access = member<&HttpConfig::keepalive_requests>(),
        .range = {1, 1'000'000'000},
        .unit = "requests",
        .doc = "Requests on one connection; the last answer says `Connection: close`."},
    Key{.name = "underscore_headers",
        .access = member<&HttpConfig::underscore_headers>(),
        .doc = "Headers whose names have an underscore, which a CGI-style environment cannot tell from a dash: `drop` "
               "leaves them out, `refuse` answers 400."},
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
        .doc =
            "The directory that is served. Nothing outside it can be reached, but through symbolic links if `symlinks` "
            "says so."},
    Key{.name = "index",
        .access = member<&StaticConfig::index>(),
        .range = {0, 16},
        .doc = "Files to look for, in this order, when a directory is asked for."},
    Key{.name = "default_type",
        .access = member<&StaticConfig::default_type>(),
        .range = kSomeText,
        .doc = "Content-Type of files whose ending says none."},
    Key{.name = "mime_types",
        .access = member<&StaticConfig::mime_types>(Kind::kPath),
        .range = kPathText,
        .doc =
            "Which ending has which Content-Type, in the format of Debian's media-types package. Endings that it does "
            "not name, or a default file that is not there, have built-in types."},
    Key{.name = "listing",
        .access = member<&StaticConfig::listing>(),
        .doc = "Whether a directory without an index file is answered with a list of its files, else with 403."},
    Key{.name = "fallback",
        .access = member<&StaticConfig::fallback>(),
        .range = {0, 4095},
        .example = R"("index.html")",
        .doc = "A file of the root that is served, with status 200, for names that are not there: for single-page "
               "applications. Empty: 404."},
    Key{.name = "symlinks",
        .access = member<&StaticConfig::symlinks>(),
        .doc = "Symbolic links: `never` followed, followed when they end `inside` the root, or lead `anywhere`."},
    Key{.name = "precompressed",
        .access = member<&StaticConfig::precompressed>(),
        .range = {0, 3},
        .example = R"(["br", "zstd", "gzip"])",
        .doc = "Serve `NAME.br`, `NAME.zst` or `NAME.gz` in place of NAME to clients that accept the coding; the first "
               "in this list that is there wins among those that a client likes equally."},
    Key{.name = "cache_control",
        .access = member<&StaticConfig::cache_control>(),
        .range = {0, 256},
        .example = R"({ "*.css" = "max-age=3600", "/assets/*" = "max-age=31536000, immutable" })",
        .doc =
            "Cache-Control of files: a pattern (`*` any text, `?` one character) for the whole path if it begins with "
            "a slash, else for the file's name; the first that matches holds."},
    Key{.name = "error_pages",
        .access = member<&StaticConfig::error_pages>(),
        .range = {0, 256},
        .example = R"({ "404" = "errors/404.html", "5xx" = "errors/sorry.html" })",
        .doc = "Files of the root that are sent with an error status, `\"404\"`, or with any of a class, `\"4xx\"` or "
               "`\"5xx\"`."},
    Key{.name = "cache_ttl",
        .access = member<&StaticConfig::cache_ttl>(),
        .range = {0, kHour},
        .doc = "How long a worker keeps a file open and goes by what it knows of it; a change shows after this time at "
               "the latest. `\"0\"`: each request looks anew."},
    Key{.name = "cache_entries",
        .access = member<&StaticConfig::cache_entries>(),
        .range = {1, 100'000},
        .unit = "files",
        .doc =
            "Files that one worker keeps in its cache; those that are open take a quarter of its descriptors at most."},
    Key{.name = "cache_file_size",
        .access = member<&StaticConfig::cache_file_size>(),
        .range = {0, kMebibyte},
        .doc = "Files up to this size are kept in memory whole while they are in the cache."},
    Key{.name = "cache_memory",
        .access = member<&StaticConfig::cache_memory>(),
        .range = {0, kTebibyte},
        .doc = "How much memory such files may take together in one worker; the least recently used go first."},
};

constexpr Section kStatic{
    .title = "static",
    .doc = "App table: the pool serves the files of a directory.",
    .keys = kStaticKeys,
    .defaults = defaults_of<StaticConfig>,
};

// ---- respond

constexpr std::array kRespondKeys{
    Key{.name = "status", .access = member<&RespondConfig::status>(), .range = {200, 599}, .doc = "The status code."},
    Key{.name = "headers",
        .access = member<&RespondConfig::headers>(),
        .range = {0, 100},
        .example = R"({ "Retry-After" = "120", "Content-Type" = "text/html; charset=utf-8" })",
        .doc = "Headers beside Date, Server, Content-Length and Connection. Without a Content-Type the body is sent as "
               "`text/plain; charset=utf-8`."},
    Key{.name = "body",
        .access = member<&RespondConfig::body>(),
        .range = {0, kMebibyte},
        .any_text = true,
        .example = R"("ok\n")",
        .doc = "The body."},
};

constexpr Section kRespond{
    .title = "respond",
    .doc =
        "App table: the pool gives the same answer to every request, for maintenance pages, health checks and "
        "measuring.",
    .keys = kRespondKeys,
    .defaults = defaults_of<RespondConfig>,
};

// ---- echo and stream

constexpr Section kEcho{
    .title = "echo",
    .doc =
        "App table: the pool sends back every byte (RFC 862), to try and to measure connections that speak no HTTP. It "
        "has no keys: `echo = {}`.",
    .keys = {},
    .defaults = defaults_of<EchoConfig>,
};

constexpr Section kStatus{
    .title = "status",
    .doc =
        "App table: the pool tells what the daemon does: `/metrics` for Prometheus, `/healthz` and `/readyz`, "
        "`/status.json`, and a page for people at `/`. Whoever reaches it sees what the workers are at, so let it "
        "listen "
        "on loopback or a UNIX socket. It has no keys: `status = {}`. See [metrics](metrics.md).",
    .keys = {},
    .defaults = defaults_of<StatusConfig>,
};

constexpr std::array kStreamKeys{
    Key{.name = "idle_timeout",
        .access = member<&StreamConfig::idle_timeout>(),
        .range = {0, kDay},
        .doc = "How long a connection may live on which neither side sends anything; `\"0\"`: for ever."},
    Key{.name = "send_timeout",
        .access = member<&StreamConfig::send_timeout>(),
        .range = kTimeout,
        .doc = "In each such time a client has to take min_send_rate of the bytes that wait for it, and at least one "
               "byte, else the connection is cut."},
    Key{.name = "min_send_rate",
        .access = member<&StreamConfig::min_send_rate>(),
        .range = {0, kGibibyte},
        .doc = "Bytes per second that a client has to take, on average of a send_timeout; `\"0\"`: at all."},
    Key{.name = "idle_grace",
        .access = member<&StreamConfig::idle_grace>(),
        .range = {.least = 0, .most = kDay},
        .doc = "When the daemon stops: how long neither side has to send anything before the connection is ended; at "
               "most graceful_timeout."},
    Key{.name = "buffer",
        .access = member<&StreamConfig::buffer>(),
        .range = {kKibibyte, kGibibyte},
        .doc = "Bytes that may wait for one slow client; then nothing more is read from it."},
    Key{.name = "max_output",
        .access = member<&StreamConfig::max_output>(),
        .range = {kKibibyte, kGibibyte},
        .doc = "In `event` concurrency: bytes that a module may have waiting for one client that does not take them; "
               "beyond, the connection is cut."},
};

constexpr Section kStream{
    .title = "stream",
    .doc =
        "Limits of connections that speak no HTTP; only in pools with such an app table, see "
        "[streams](streams.md).",
    .keys = kStreamKeys,
    .defaults = defaults_of<StreamConfig>,
};

// ---- access_log

constexpr std::array kAccessLogKeys{
    Key{.name = "path",
        .access = member<&AccessLogConfig::path>(Kind::kPath),
        .presence = Presence::kRequired,
        .range = kPathText,
        .example = R"("/var/log/prongd/access.log")",
        .doc = "The file. The master opens it, USR1 reopens it. Several pools may have the same."},
    Key{.name = "format",
        .access = member<&AccessLogConfig::format>(),
        .range = {1, 4095},
        .example = R"("{client} {status} {service_us}")",
        .doc =
            "`common`, `combined`, `json`, or a pattern with fields in braces; see [the access log](access-log.md)."},
    Key{.name = "flush_delay",
        .access = member<&AccessLogConfig::flush_delay>(),
        .range = {0, 60 * kSecond},
        .doc = "The longest that a line waits in a worker for others to be written together with it; `\"0\"`: it does "
               "not wait."},
};

constexpr Section kAccessLog{
    .title = "access_log",
    .doc = "The pool's access log: one line for each answer. A pool without this table has none.",
    .keys = kAccessLogKeys,
    .defaults = defaults_of<AccessLogConfig>,
};

// ---- [pool.NAME]

constexpr std::array kAutoWorkers{
    Word{.text = "auto", .doc = "one for each usable CPU (affinity mask and cgroup quota)"}};
constexpr std::array kUnlimitedMemory{Word{.text = "unlimited", .doc = "no limit"}};

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
        .doc = "How many worker processes. A `status` pool has one when this does not stand there."},
    Key{.name = "concurrency",
        .access = member<&PoolConfig::concurrency>(),
        .doc =
            "How a worker serves many clients, see [concurrency](concurrency.md). `event`: many connections, and the "
            "application runs on the I/O thread, so it must not block. `thread`: many connections, and `threads` "
            "application threads; the default of a `wsgi` pool. `process`: one connection at a time, for code that may "
            "not share a process."},
    Key{.name = "threads",
        .access = member<&PoolConfig::threads>(),
        .range = {1, 1'024},
        .unit = "threads",
        .example = "16",
        .doc = "In `thread` concurrency: how many threads of one worker run the application, that is how many requests "
               "it works on at once."},
    Key{.name = "request_timeout",
        .access = member<&PoolConfig::request_timeout>(),
        .range = {0, kDay},
        .doc = "How long the application may work on a request, or on each piece of an answer that it streams. In "
               "`thread` and `process` concurrency also how long a request may wait for a thread; then the client gets "
               "504, and a worker whose code is stuck, which nothing else can stop, is replaced. In `event`, where the "
               "application runs on the worker's I/O thread and nobody else could answer, a worker that is in one call "
               "for longer is killed with ABRT and replaced; an answer that a module gives later has the same time. "
               "`\"0\"`: no limit."},
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
    Key{.name = "max_requests",
        .access = member<&PoolConfig::max_requests>(),
        .range = {0, kMostRequests},
        .unit = "requests",
        .doc = "Requests after which a worker retires: its replacement is started first. 0: none."},
    Key{.name = "max_requests_jitter",
        .access = member<&PoolConfig::max_requests_jitter>(),
        .range = {0, kMostRequests},
        .unit = "requests",
        .doc = "Each worker adds a random number up to this to `max_requests`, so that they do not all retire at "
               "once."},
    Key{.name = "max_lifetime",
        .access = member<&PoolConfig::max_lifetime>(),
        .range = {0, kYear},
        .doc = "Age at which a worker retires. \"0\": none."},
    Key{.name = "max_lifetime_jitter",
        .access = member<&PoolConfig::max_lifetime_jitter>(),
        .range = {0, kYear},
        .doc = "Each worker adds a random time up to this to `max_lifetime`: those of a generation are equally old."},
    Key{.name = "max_memory",
        .access = member<&PoolConfig::max_memory>(),
        .range = {kMebibyte, std::numeric_limits<std::int64_t>::max()},
        .words = kUnlimitedMemory,
        .example = R"("512MiB")",
        .doc = "Memory above which a worker retires: in 3 measurements in a row, each after something was served and "
               "at least a second after the one before."},
    Key{.name = "memory_measure",
        .access = member<&PoolConfig::memory_measure>(),
        .doc = "What is compared with `max_memory`. `rss`: all memory that the worker has; `pss`: what it shares with "
               "other processes counts in part (slower to find out)."},
    Key{.name = "memory_grace",
        .access = member<&PoolConfig::memory_grace>(),
        .range = {0, kDay},
        .doc = "A worker younger than this does not retire for its memory, so that a `max_memory` that is too small "
               "does not restart workers all the time; it warns."},
    Key{.name = "max_unavailable",
        .access = member<&PoolConfig::max_unavailable>(),
        .range = {1, 1'024},
        .unit = "workers",
        .doc = "How many workers of the pool leave at once when they retire; those that still drain after a reload "
               "count."},
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
    Key{.name = "static_map",
        .access = member<&PoolConfig::static_map>(),
        .range = {0, 64},
        .paths = true,
        .example = R"({ "/static/" = "/srv/shop/static", "/media/" = "media" })",
        .doc = "Folders that prongd serves itself, each below a prefix of the path, beside the application; see "
               "[paths](http.md#files-beside-an-application). A relative folder is resolved against the folder of the "
               "file it stands in."},
    Key{.name = "path_prefix",
        .access = member<&PoolConfig::path_prefix>(),
        .range = {0, 255},
        .example = R"("/shop")",
        .doc = "Where the application stands: it sees paths without this prefix, and requests for other paths are "
               "answered with 404; see [paths](http.md#an-application-below-a-prefix)."},
    Key{.name = "trusted_proxies",
        .access = member<&PoolConfig::trusted_proxies>(),
        .range = {0, 256},
        .example = R"(["10.0.0.0/8", "::1", "unix"])",
        .doc = "Peers whose word is taken for the client's address, scheme and host: addresses, networks, and `unix` "
               "for whoever comes over a UNIX socket; see [proxies](http.md#behind-a-proxy)."},
    Key{.name = "forwarded",
        .access = member<&PoolConfig::forwarded>(),
        .example = R"("forwarded")",
        .doc = "Which headers of a trusted proxy are believed: X-Forwarded-For, -Proto and -Host (`x-forwarded`), or "
               "Forwarded (RFC 7239). Never both: what a proxy does not write, it passes on as the client sent it."},
    Key{.name = "stream",
        .access = table<&PoolConfig::stream>(),
        .section = &kStream,
        .example = R"({ idle_timeout = "30m" })",
        .doc = "Limits of connections that speak no HTTP, see [stream](#stream)."},
    Key{.name = "access_log",
        .access = optional_table<&PoolConfig::access_log>(),
        .section = &kAccessLog,
        .example = R"({ path = "/var/log/prongd/access.log" })",
        .doc = "One line for each answer, see [access_log](#access_log)."},
    Key{.name = "static",
        .access = alternative<&PoolConfig::app, StaticConfig>(),
        .presence = Presence::kOneOf,
        .section = &kStatic,
        .example = R"({ root = "/var/www/html" })",
        .doc = "Serve the files of a directory, see [static](#static)."},
    Key{.name = "respond",
        .access = alternative<&PoolConfig::app, RespondConfig>(),
        .presence = Presence::kOneOf,
        .section = &kRespond,
        .example = R"({ status = 503, body = "back at noon\n" })",
        .doc = "Give the same answer to every request, see [respond](#respond)."},
    Key{.name = "echo",
        .access = alternative<&PoolConfig::app, EchoConfig>(),
        .presence = Presence::kOneOf,
        .section = &kEcho,
        .example = "{}",
        .doc = "Send back every byte, without HTTP, see [echo](#echo)."},
    Key{.name = "exec",
        .access = alternative<&PoolConfig::app, ExecConfig>(),
        .presence = Presence::kOneOf,
        .section = &kExecSection,
        .example = R"({ command = ["/bin/date"] })",
        .doc = "Run any program, see [exec](#exec)."},
    Key{.name = "wsgi",
        .access = alternative<&PoolConfig::app, WsgiConfig>(),
        .presence = Presence::kOneOf,
        .section = &kWsgiSection,
        .example = R"({ app = "shop.wsgi:application", path = ["/srv/shop"] })",
        .doc = "Run a Python application, see [wsgi](#wsgi)."},
    Key{.name = "module",
        .access = alternative<&PoolConfig::app, ModuleConfig>(),
        .presence = Presence::kOneOf,
        .section = &kModuleSection,
        .example = R"({ path = "/usr/lib/prongd/hello.so" })",
        .doc = "Run a module, a shared object that the workers load, see [module](#module)."},
    Key{.name = "status",
        .access = alternative<&PoolConfig::app, StatusConfig>(),
        .presence = Presence::kOneOf,
        .section = &kStatus,
        .example = "{}",
        .doc = "Tell what the daemon does: metrics, health, a page, see [status](#status)."},
};

constexpr std::array<std::string_view, 1> kLaterPoolKeys{"asgi"};

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
    .fits = fits_pool,
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
    Key{.name = "control",
        .access = table<&Config::control>(),
        .section = &kControl,
        .doc = "The control socket, see [[control]](#control)."},
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
  const auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; };
  return !name.empty() && name.size() <= kLongestPoolName && std::ranges::all_of(name, allowed);
}

}  // namespace prong::config
