// The configuration as immutable values: what the reader produces, what a generation is started from.
//
// A default-constructed struct is the documented default: the schema (config/schema.hpp) reads the defaults from here
// and keeps none of its own. Nothing in here refers to TOML.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/enum_text.hpp"
#include "base/units.hpp"

namespace prong::config {

// Where a value was written, for messages. Line and column count from 1; 0 is "not in a file".
struct Position {
  std::string file = {};
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarn, kError };
inline constexpr EnumText<LogLevel, 4> kLogLevelText{
    {{{LogLevel::kDebug, "debug"}, {LogLevel::kInfo, "info"}, {LogLevel::kWarn, "warn"}, {LogLevel::kError, "error"}}}};

enum class LogColor : std::uint8_t { kAuto, kAlways, kNever };
inline constexpr EnumText<LogColor, 3> kLogColorText{
    {{{LogColor::kAuto, "auto"}, {LogColor::kAlways, "always"}, {LogColor::kNever, "never"}}}};

// Table [log].
struct LogConfig {
  std::string target = "auto";  // auto | journal | stderr | an absolute path
  LogLevel level = LogLevel::kInfo;
  LogColor color = LogColor::kAuto;
};

// The values of ControlConfig::socket that are no path.
inline constexpr std::string_view kControlAuto = "auto";
inline constexpr std::string_view kControlOff = "off";

// Table [control]: the socket over which prongctl asks.
struct ControlConfig {
  std::string socket = std::string{kControlAuto};    // or kControlOff, or a path
  std::uint32_t mode = 0660;                         // of the socket's file
  std::string group = {};                            // whose members may ask, beside root and the daemon's user
  std::uint32_t max_clients = 64;                    // connected at once
  ByteSize max_line = {64U << 10U};                  // of a request
  Duration idle_timeout = std::chrono::seconds{30};  // for a whole request, and for taking an answer
};

// One entry of a pool's `listen`: the address text, and the keys that may stand beside it in the table form.
struct ListenerConfig {
  // See net/address.hpp: "127.0.0.1:80", "[::]:80", "unix:/path", "unix:@name", "systemd:NAME".
  std::string address = {};
  std::uint32_t backlog = 4096;
  bool reuse_address = true;
  bool v6only = true;
  std::optional<Duration> defer_accept = {};    // TCP_DEFER_ACCEPT; 0 is off; nothing: on where the client speaks first
  bool keepalive = true;                        // SO_KEEPALIVE
  bool nodelay = true;                          // TCP_NODELAY
  bool free_bind = false;                       // IP_FREEBIND
  std::optional<ByteSize> receive_buffer = {};  // SO_RCVBUF; nothing: the kernel's
  std::optional<ByteSize> send_buffer = {};     // SO_SNDBUF; nothing: the kernel's
  std::uint32_t mode = 0666;                    // of a UNIX socket file
  std::string owner = {};                       // of a UNIX socket file; empty: the user of the master
  std::string group = {};                       // of a UNIX socket file; empty: its group
  Position position = {};
};

// How a worker serves many clients (design.md section 7).
enum class Concurrency : std::uint8_t { kEvent, kThread, kProcess };
inline constexpr EnumText<Concurrency, 3> kConcurrencyText{
    {{{Concurrency::kEvent, "event"}, {Concurrency::kThread, "thread"}, {Concurrency::kProcess, "process"}}}};

// The size that is no limit: RLIM_INFINITY of setrlimit(2) has the same value.
inline constexpr ByteSize kUnlimited{std::numeric_limits<std::uint64_t>::max()};

// Table `rlimits`: soft and hard limit are set to the same value. Nothing: as the master has it.
struct RlimitsConfig {
  std::optional<std::uint64_t> nofile = {};    // RLIMIT_NOFILE, descriptors
  std::optional<ByteSize> core = {};           // RLIMIT_CORE; may be kUnlimited
  std::optional<ByteSize> address_space = {};  // RLIMIT_AS; may be kUnlimited
};

// Texts with free names, in the order of the file: the entries of a table such as { "*.css" = "max-age=3600" }.
using NamedTexts = std::vector<std::pair<std::string, std::string>>;

// What becomes of a header whose name has an underscore: a CGI-style environment cannot tell it from a dash.
enum class UnderscoreHeaders : std::uint8_t { kDrop, kRefuse };
inline constexpr EnumText<UnderscoreHeaders, 2> kUnderscoreHeadersText{
    {{{UnderscoreHeaders::kDrop, "drop"}, {UnderscoreHeaders::kRefuse, "refuse"}}}};

// Which headers of a trusted proxy tell of the client.
enum class Forwarded : std::uint8_t { kXForwarded, kForwarded };
inline constexpr EnumText<Forwarded, 2> kForwardedText{
    {{{Forwarded::kXForwarded, "x-forwarded"}, {Forwarded::kForwarded, "forwarded"}}}};

// The entry of trusted_proxies that stands for all peers over UNIX sockets.
inline constexpr std::string_view kUnixPeers = "unix";

// Table `http`: limits of the protocol.
struct HttpConfig {
  Duration header_timeout = std::chrono::seconds{30};  // from the first byte of a request to the end of its header
  Duration idle_timeout = std::chrono::seconds{75};    // between two requests of a keep-alive connection
  Duration send_timeout = std::chrono::seconds{60};    // without any progress while an answer is sent
  Duration idle_grace = std::chrono::seconds{2};       // of an idle keep-alive connection when the daemon stops
  Duration body_timeout = std::chrono::seconds{30};    // in each such time a body has to bring min_body_rate
  ByteSize min_body_rate = {500};                      // bytes/s; 0: any byte will do
  ByteSize min_send_rate = {100};                      // bytes/s that a client has to take in each send_timeout
  ByteSize max_request_line = {8U << 10U};             // 414
  ByteSize max_header_line = {16U << 10U};             // one header, 431
  ByteSize max_header = {32U << 10U};                  // request line and headers together, 431
  std::uint32_t max_headers = 100;                     // 431
  ByteSize max_body = {16U << 20U};                    // 413
  ByteSize body_buffer = {64U << 10U};                 // of a body in memory; what is larger goes to a file
  std::string body_dir = "/tmp";                       // where that unlinked file is made
  ByteSize output_buffer = {64U << 10U};               // of a streamed answer in memory
  ByteSize output_spool = {64U << 20U};                // of a streamed answer in a file of body_dir
  std::uint32_t keepalive_requests = 100'000;          // on one connection
  UnderscoreHeaders underscore_headers = UnderscoreHeaders::kDrop;
  bool server_header = true;  // whether answers carry `Server: prongd`
};

// Which symbolic links are followed.
enum class Symlinks : std::uint8_t { kNever, kInside, kAnywhere };
inline constexpr EnumText<Symlinks, 3> kSymlinksText{
    {{{Symlinks::kNever, "never"}, {Symlinks::kInside, "inside"}, {Symlinks::kAnywhere, "anywhere"}}}};

// Table `static`: files served from a directory.
struct StaticConfig {
  std::string root = {};
  std::vector<std::string> index = {"index.html"};
  std::string default_type = "application/octet-stream";
  std::string mime_types = "/etc/mime.types";
  bool listing = false;
  std::string fallback = {};  // a file of the root for names that are not there; empty: 404
  Symlinks symlinks = Symlinks::kInside;
  std::vector<std::string> precompressed = {};   // "br", "zstd", "gzip", the preferred one first
  NamedTexts cache_control = {};                 // glob of the path -> Cache-Control; the first that matches
  NamedTexts error_pages = {};                   // "404" or "5xx" -> a file of the root
  Duration cache_ttl = std::chrono::seconds{1};  // of an open file in the cache; 0: no cache
  std::uint32_t cache_entries = 512;             // in one worker
  ByteSize cache_file_size = {128U << 10U};      // files up to this are kept in memory whole
  ByteSize cache_memory = {16U << 20U};          // of such files together, in one worker
  Position root_position = {};
};

// Table `respond`: the same answer to every request.
struct RespondConfig {
  std::uint32_t status = 200;
  NamedTexts headers = {};
  std::string body = {};
};

// What a program of an exec pool gets: one connection as its input and output, or the pool's listening sockets.
enum class ExecStyle : std::uint8_t { kConnection, kListener };
inline constexpr EnumText<ExecStyle, 2> kExecStyleText{
    {{{ExecStyle::kConnection, "connection"}, {ExecStyle::kListener, "listener"}}}};

// Table `exec`: any program.
struct ExecConfig {
  std::vector<std::string> command = {};  // its name or path, then its arguments
  ExecStyle style = ExecStyle::kConnection;
  NamedTexts env = {};
  std::vector<std::string> pass_env = {"PATH", "LANG", "TZ"};  // of the master's environment
  std::string cwd = "/";
  std::uint32_t spare = 4;                                  // connection: workers that wait for a connection
  std::uint32_t max_connections = 100;                      // connection: programs at once
  std::uint32_t max_per_address = 0;                        // connection: of them for one client's address; 0: no limit
  std::optional<Duration> ready = std::chrono::seconds{1};  // listener: alive so long; nothing: when it says READY=1
  bool nonblocking = false;                                 // listener: O_NONBLOCK of the sockets
  std::string stop_signal = "TERM";                         // os::signal_number() knows it
  Position command_position = {};
};

// Table `wsgi`: a Python application (PEP 3333). The workers become the interpreter.
struct WsgiConfig {
  std::string app = {};                // "module:callable", "package.module:factory()"
  std::vector<std::string> path = {};  // folders for the front of sys.path
  std::string chdir = {};              // empty: the first of `path`, else the master's working directory
  std::string venv = {};               // a folder made by venv; empty: see docs/python.md
  std::string python = {};             // an interpreter; empty: the venv's, else python3
  NamedTexts env = {};
  bool gc_freeze = true;      // gc.freeze() when the application is loaded
  bool reload = false;        // the daemon reloads when a file of a loaded module is saved
  bool debug_errors = false;  // clients on this machine see tracebacks
  Position app_position = {};
};

// What a pool's clients speak with a module.
enum class ModuleProtocol : std::uint8_t { kHttp, kStream };
inline constexpr EnumText<ModuleProtocol, 2> kModuleProtocolText{
    {{{ModuleProtocol::kHttp, "http"}, {ModuleProtocol::kStream, "stream"}}}};

// One value of a module's `options`: a scalar, with the name by which it stands in nested tables and lists:
// "limits.max", "peers[0]", "backends[1].host".
using ModuleScalar = std::variant<bool, std::int64_t, double, std::string>;
struct ModuleOption {
  std::string name = {};
  ModuleScalar value = {};
  Position position = {};
};

// A list among the options, so that an empty one differs from none; or a table that is empty: one with entries is
// nothing but the first part of their names.
struct ModuleOptionList {
  std::string name = {};
  std::size_t size = 0;
  bool is_table = false;
  Position position = {};
};

// `options` of a module: free keys.
struct ModuleOptions {
  std::string toml = "{}";                   // the table as TOML source on one line, for printing and comparing
  std::vector<ModuleOption> entries = {};    // its scalars, in the order of the file
  std::vector<ModuleOptionList> lists = {};  // in the order of the file

  // Where something was written does not count.
  friend bool operator==(const ModuleOptions& a, const ModuleOptions& b) { return a.toml == b.toml; }
};

// Table `module`: a shared object that the workers load (include/prong/module.h).
struct ModuleConfig {
  std::string path = {};
  ModuleProtocol protocol = ModuleProtocol::kHttp;
  ModuleOptions options = {};
  Position path_position = {};
};

// Table `echo`: every byte is sent back.
struct EchoConfig {};

// Table `status`: what the daemon itself does, for Prometheus, for load balancers and for people.
struct StatusConfig {};

// What a pool runs. One alternative for each app table.
using AppConfig =
    std::variant<StaticConfig, RespondConfig, EchoConfig, ExecConfig, WsgiConfig, ModuleConfig, StatusConfig>;

// Whether the pool's connections are raw streams: its application sees bytes, and no HTTP is spoken.
[[nodiscard]] inline bool runs_streams(const AppConfig& app) {
  const auto* const module = std::get_if<ModuleConfig>(&app);
  return std::holds_alternative<EchoConfig>(app) || (module != nullptr && module->protocol == ModuleProtocol::kStream);
}

// Table `stream`: limits of connections that speak no HTTP.
struct StreamConfig {
  Duration idle_timeout = std::chrono::minutes{5};   // neither side sent anything; 0: none
  Duration send_timeout = std::chrono::seconds{60};  // without any progress while bytes wait for the client
  ByteSize min_send_rate = {100};                    // bytes/s that a client has to take in each send_timeout
  Duration idle_grace = std::chrono::seconds{2};     // of silence, when the daemon stops
  ByteSize buffer = {64U << 10U};                    // that may wait for a client before it is read from again
  ByteSize max_output = {1U << 20U};                 // of a module that may wait for a client; then it is cut
};

// Table `access_log`: one line for each answer.
struct AccessLogConfig {
  std::string path = {};
  std::string format = "combined";                        // common | combined | json | a pattern (docs/access-log.md)
  Duration flush_delay = std::chrono::milliseconds{100};  // the longest that a line waits in the worker
};

// What a worker's memory is measured as: all pages that it has (resident), or its own and its share of those that it
// shares with others (proportional).
enum class MemoryMeasure : std::uint8_t { kRss, kPss };
inline constexpr EnumText<MemoryMeasure, 2> kMemoryMeasureText{
    {{{MemoryMeasure::kRss, "rss"}, {MemoryMeasure::kPss, "pss"}}}};

// Table [pool.NAME].
struct PoolConfig {
  std::string name = {};
  std::vector<ListenerConfig> listen = {};
  // Nothing: "auto", one for each usable CPU. For a StatusConfig the reader makes it 1.
  std::optional<std::uint32_t> workers = {};
  Concurrency concurrency = Concurrency::kEvent;        // for a WsgiConfig the reader makes it kThread
  std::uint32_t threads = 4;                            // application threads of one worker, in `thread`
  Duration request_timeout = std::chrono::seconds{60};  // for the application; 0: none
  std::uint32_t max_connections = 10'000;               // at once, in one worker
  std::string user = {};                                // empty: the user of the master
  std::string group = {};                               // empty: the user's primary group
  std::uint32_t umask = 022;
  RlimitsConfig rlimits = {};
  Duration start_timeout = std::chrono::seconds{60};  // from fork to Ready
  std::uint32_t start_attempts = 3;                   // failed starts of a worker before the boot is given up
  Duration graceful_timeout = std::chrono::seconds{30};
  Duration max_backoff = std::chrono::seconds{60};
  std::uint64_t max_requests = 0;         // served by one worker before it retires; 0: none
  std::uint64_t max_requests_jitter = 0;  // each worker's own random part of it is added
  Duration max_lifetime = {};             // of a worker; 0: none
  Duration max_lifetime_jitter = {};
  std::optional<ByteSize> max_memory = {};  // of one worker; nothing: no limit
  MemoryMeasure memory_measure = MemoryMeasure::kRss;
  Duration memory_grace = std::chrono::seconds{60};  // a worker younger than this does not retire for its memory
  std::uint32_t max_unavailable = 1;                 // workers of the pool that leave at once
  HttpConfig http = {};
  NamedTexts static_map = {};                     // prefix of the path -> folder; see config/check_paths.hpp
  std::string path_prefix = {};                   // what the application stands below; empty: nothing
  std::vector<std::string> trusted_proxies = {};  // networks as net/network.hpp parses them, and kUnixPeers
  Forwarded forwarded = Forwarded::kXForwarded;
  StreamConfig stream = {};
  std::optional<AccessLogConfig> access_log = {};
  AppConfig app = {};
  Position position = {};

  // How many threads of one worker run the application; in `event` it is the I/O thread.
  [[nodiscard]] std::size_t application_threads() const { return concurrency == Concurrency::kThread ? threads : 1; }
  // How long a connection that has nothing under way still lives when the daemon stops.
  [[nodiscard]] Duration idle_grace() const { return runs_streams(app) ? stream.idle_grace : http.idle_grace; }
};

// One whole configuration. Shared by everything that was started from it; never changed.
struct Config {
  LogConfig log = {};
  ControlConfig control = {};
  std::vector<PoolConfig> pools = {};     // in the order of the file
  std::vector<std::string> sources = {};  // the files that were read, the main one first; empty for --static
  // Where each value that a file sets was written, by its full name: "log.target", "pool.shop.static.index",
  // "pool.shop.listen[0].owner". For messages only.
  std::map<std::string, Position> positions = {};

  // Where `name` was written; nothing when it has its default.
  [[nodiscard]] const Position* position_of(const std::string& name) const {
    const auto found = positions.find(name);
    return found == positions.end() ? nullptr : &found->second;
  }
};

}  // namespace prong::config
