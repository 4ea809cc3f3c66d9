// The configuration as immutable values: what the reader produces, what a generation is started from.
//
// A default-constructed struct is the documented default: the schema (config/schema.hpp) reads the defaults from here
// and keeps none of its own. Nothing in here refers to TOML.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
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

// One entry of a pool's `listen`: the address text, and the keys that may stand beside it in the table form.
struct ListenerConfig {
  // See net/address.hpp: "127.0.0.1:80", "[::]:80", "unix:/path", "unix:@name", "systemd:NAME".
  std::string address = {};
  std::uint32_t backlog = 4096;
  bool reuse_address = true;
  bool v6only = true;
  Duration defer_accept = std::chrono::seconds{1};  // TCP_DEFER_ACCEPT; 0 is off
  bool keepalive = true;                            // SO_KEEPALIVE
  bool nodelay = true;                              // TCP_NODELAY
  bool free_bind = false;                           // IP_FREEBIND
  std::optional<ByteSize> receive_buffer = {};      // SO_RCVBUF; nothing: the kernel's
  std::optional<ByteSize> send_buffer = {};         // SO_SNDBUF; nothing: the kernel's
  std::uint32_t mode = 0666;                        // of a UNIX socket file
  std::string owner = {};                           // of a UNIX socket file; empty: the user of the master
  std::string group = {};                           // of a UNIX socket file; empty: its group
  Position position = {};
};

enum class Concurrency : std::uint8_t { kEvent };
inline constexpr EnumText<Concurrency, 1> kConcurrencyText{{{{Concurrency::kEvent, "event"}}}};

// The size that is no limit: RLIM_INFINITY of setrlimit(2) has the same value.
inline constexpr ByteSize kUnlimited{std::numeric_limits<std::uint64_t>::max()};

// Table `rlimits`: soft and hard limit are set to the same value. Nothing: as the master has it.
struct RlimitsConfig {
  std::optional<std::uint64_t> nofile = {};    // RLIMIT_NOFILE, descriptors
  std::optional<ByteSize> core = {};           // RLIMIT_CORE; may be kUnlimited
  std::optional<ByteSize> address_space = {};  // RLIMIT_AS; may be kUnlimited
};

// Table `http`: limits of the protocol.
struct HttpConfig {
  Duration header_timeout = std::chrono::seconds{30};  // from the first byte of a request to the end of its header
  Duration idle_timeout = std::chrono::seconds{75};    // between two requests of a keep-alive connection
  Duration send_timeout = std::chrono::seconds{60};    // without any progress while an answer is sent
  Duration idle_grace = std::chrono::seconds{2};       // of an idle keep-alive connection when the daemon stops
  ByteSize max_header = {32U << 10U};                  // request line and headers together
  bool server_header = true;                           // whether answers carry `Server: prongd`
};

// Table `static`: files served from a directory.
struct StaticConfig {
  std::string root = {};
  std::vector<std::string> index = {"index.html"};
  std::string default_type = "application/octet-stream";
  Position root_position = {};
};

// What a pool runs. One alternative for each app table.
using AppConfig = std::variant<StaticConfig>;

// Table [pool.NAME].
struct PoolConfig {
  std::string name = {};
  std::vector<ListenerConfig> listen = {};
  std::optional<std::uint32_t> workers = {};  // nothing: "auto", one for each usable CPU
  Concurrency concurrency = Concurrency::kEvent;
  std::uint32_t max_connections = 10'000;  // at once, in one worker
  std::string user = {};                   // empty: the user of the master
  std::string group = {};                  // empty: the user's primary group
  std::uint32_t umask = 022;
  RlimitsConfig rlimits = {};
  Duration start_timeout = std::chrono::seconds{60};  // from fork to Ready
  std::uint32_t start_attempts = 3;                   // failed starts of a worker before the boot is given up
  Duration graceful_timeout = std::chrono::seconds{30};
  Duration max_backoff = std::chrono::seconds{60};
  HttpConfig http = {};
  AppConfig app = {};
  Position position = {};
};

// One whole configuration. Shared by everything that was started from it; never changed.
struct Config {
  LogConfig log = {};
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
