#include "config/check.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/characters.hpp"
#include "base/escape.hpp"
#include "config/check_exec.hpp"
#include "config/check_module.hpp"
#include "config/check_paths.hpp"
#include "config/check_wsgi.hpp"
#include "config/files.hpp"
#include "config/value.hpp"
#include "os/users.hpp"

namespace prong::config {
namespace {

// RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5: answers with these codes have no content.
bool forbids_body(std::uint32_t status) {
  return status == 204 || status == 205 || status == 304;
}

// The reader has refused control characters.
bool is_header_value(std::string_view text) {
  return !text.starts_with(' ') && !text.ends_with(' ');
}

constexpr std::array<std::string_view, 3> kCodings{"br", "zstd", "gzip"};

// "404", "5xx".
bool is_error_status(std::string_view text) {
  if (text.size() != 3 || (text[0] != '4' && text[0] != '5')) return false;
  return text.substr(1) == "xx" || (is_digit(text[1]) && is_digit(text[2]));
}

constexpr const char* kNameBelowHint = R"(write it relative to the root, without "..", for example "errors/404.html")";

bool is_name_below(std::string_view name) {
  if (name.empty() || name.ends_with('/')) return false;
  while (!name.empty()) {
    const std::string_view part = name.substr(0, name.find('/'));
    if (part.empty() || part == "." || part == "..") return false;
    name.remove_prefix(std::min(part.size() + 1, name.size()));
  }
  return true;
}

std::string in_lower_case(std::string_view text) {
  std::string lower{text};
  for (char& byte : lower)
    if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte + ('a' - 'A'));
  return lower;
}

// Why an answer cannot have that header; nothing when it can.
std::optional<Error> why_no_header(std::string_view name, std::string_view value) {
  constexpr std::array<std::string_view, 5> kOwn{"connection", "content-length", "date", "server", "transfer-encoding"};
  if (!is_token(name))
    return Error{.message = fmt::format("{} is no name of a header", in_quotes(name)),
                 .hint = "write letters, digits and dashes"};
  if (std::ranges::find(kOwn, in_lower_case(name)) != kOwn.end())
    return Error{.message = fmt::format("the header {} is written by prongd itself", in_quotes(name)),
                 .hint = "leave it out"};
  if (!is_header_value(value))
    return Error{.message = fmt::format("the value of the header {} cannot be {}", in_quotes(name), in_quotes(value)),
                 .hint = "leave out the spaces around it"};
  return std::nullopt;
}

class Checker {
 public:
  explicit Checker(const Config& config) : config_(config) {}

  std::vector<Diagnostic> run() {
    check_log();
    check_control();
    for (const PoolConfig& pool : config_.pools) {
      const std::string name = "pool." + pool.name;
      check_user(pool, name);
      check_concurrency(pool, name);
      check_needs(pool, name);
      for (std::size_t i = 0; i < pool.listen.size(); ++i)
        check_listener(pool.listen[i], fmt::format("{}.listen[{}]", name, i));
      // An empty path is one that the reader has told about.
      if (pool.access_log && !pool.access_log->path.empty())
        check_log_file(pool.access_log->path, name + ".access_log.path");
      check_protocol(pool, name);
      std::visit([&](const auto& app) { check_app(app, pool, name); }, pool.app);
      check_paths(config_, pool, diagnostics_);
      check_keys_fit(config_, pool, diagnostics_);
    }
    sort_diagnostics(diagnostics_, config_.sources);
    return std::move(diagnostics_);
  }

 private:
  // Where the value of that name was written, else where the thing that it belongs to was.
  [[nodiscard]] Position position(const std::string& name, const Position& otherwise = {}) const {
    const Position* written = config_.position_of(name);
    return written != nullptr ? *written : otherwise;
  }

  void complain(Position position, std::string message, std::string hint = {}) {
    diagnostics_.push_back({.position = std::move(position), .message = std::move(message), .hint = std::move(hint)});
  }

  void check_log() {
    if (config_.log.target.starts_with('/')) check_log_file(config_.log.target, "log.target");
  }

  void check_control() {
    const ControlConfig& control = config_.control;
    if (!control.group.empty())
      if (const auto group = os::find_group(control.group); !group)
        complain(position("control.group"), group.error().message, group.error().hint);
    // Empty is one that the reader has told about.
    if (control.socket.empty() || control.socket == kControlAuto || control.socket == kControlOff) return;
    const std::string folder = std::filesystem::path{control.socket}.parent_path().string();
    if (const auto why = why_no_directory(folder))
      complain(position("control.socket"),
               fmt::format("there can be no socket {}: {}: {}", in_quotes(control.socket), folder, *why),
               "make the folder, or choose another one");
  }

  void check_log_file(const std::string& path, const std::string& name) {
    const std::string folder = std::filesystem::path{path}.parent_path().string();
    if (const auto why = why_no_directory(folder))
      complain(position(name), fmt::format("cannot write {}: {}: {}", in_quotes(path), folder, *why),
               "make the folder, or choose another one");
  }

  void check_user(const PoolConfig& pool, const std::string& name) {
    if (!pool.user.empty()) {
      const Position where = position(name + ".user", pool.position);
      const auto user = os::find_user(pool.user);
      if (!user)
        complain(where, user.error().message, user.error().hint);
      else if (geteuid() != 0 && user->uid != geteuid())
        complain(where, fmt::format("{}.user = {} needs a master that runs as root", name, in_quotes(pool.user)),
                 "start prongd as root, or leave the key out");
    }
    if (pool.group.empty()) return;
    const Position where = position(name + ".group", pool.position);
    const auto group = os::find_group(pool.group);
    if (!group)
      complain(where, group.error().message, group.error().hint);
    else if (geteuid() != 0 && *group != getegid())
      complain(where, fmt::format("{}.group = {} needs a master that runs as root", name, in_quotes(pool.group)),
               "start prongd as root, or leave the key out");
  }

  // A key that the pool's concurrency does not use would be silently ignored.
  void check_concurrency(const PoolConfig& pool, const std::string& name) {
    if (std::holds_alternative<ExecConfig>(pool.app)) return;  // neither key fits a program, which is told elsewhere
    const std::string_view written = kConcurrencyText.text(pool.concurrency);
    const Position* const threads = config_.position_of(name + ".threads");
    if (threads != nullptr && pool.concurrency != Concurrency::kThread)
      complain(*threads, fmt::format("{}.threads has no meaning with concurrency = {}", name, in_quotes(written)),
               R"(write concurrency = "thread", or leave the key out)");
  }

  // Keys that do nothing without another one.
  void check_needs(const PoolConfig& pool, const std::string& name) {
    const auto needs = [&](const char* key, const char* other, bool is_there) {
      const Position* written = config_.position_of(name + '.' + key);
      if (written != nullptr && !is_there)
        complain(*written, fmt::format("{}.{} does nothing without {}", name, key, other),
                 fmt::format("write {} too, or leave it out", other));
    };
    needs("max_requests_jitter", "max_requests", pool.max_requests > 0 || pool.max_requests_jitter == 0);
    needs("max_lifetime_jitter", "max_lifetime",
          pool.max_lifetime > Duration::zero() || pool.max_lifetime_jitter == Duration::zero());
    needs("memory_measure", "max_memory", pool.max_memory.has_value());
    needs("memory_grace", "max_memory", pool.max_memory.has_value());
    needs("forwarded", "trusted_proxies",
          !pool.trusted_proxies.empty() || runs_streams(pool.app) || std::holds_alternative<ExecConfig>(pool.app));
  }

  void check_listener(const ListenerConfig& listener, const std::string& name) {
    const auto [first, is_new] = listeners_.try_emplace(listener.address, &listener.position);
    // An empty address was wrong, which the reader has told.
    if (!is_new && !listener.address.empty())
      complain(listener.position, fmt::format("{} is listened on twice", in_quotes(listener.address)),
               "the first one is at " + to_text(*first->second));
    if (!listener.owner.empty())
      if (const auto user = os::find_user(listener.owner); !user)
        complain(position(name + ".owner", listener.position), user.error().message, user.error().hint);
    if (!listener.group.empty())
      if (const auto group = os::find_group(listener.group); !group)
        complain(position(name + ".group", listener.position), group.error().message, group.error().hint);
  }

  // A table that the pool's application does not use would be silently ignored.
  void check_protocol(const PoolConfig& pool, const std::string& name) {
    const auto refuse = [&](std::string_view table, std::string_view why) {
      if (const Position* const written = config_.position_of(fmt::format("{}.{}", name, table)); written != nullptr)
        complain(*written, fmt::format("{}.{} has no meaning here: {}", name, table, why), "leave it out");
    };
    if (std::holds_alternative<ExecConfig>(pool.app)) return;  // check_keys_fit()
    if (!runs_streams(pool.app)) return refuse("stream", "the pool speaks HTTP");
    for (const char* key : {"http", "access_log", "static_map", "path_prefix", "trusted_proxies", "forwarded"})
      refuse(key, "the pool speaks no HTTP");
  }

  void check_app(const EchoConfig& /*app*/, const PoolConfig& /*pool*/, const std::string& /*name*/) {}
  void check_app(const StatusConfig& /*app*/, const PoolConfig& /*pool*/, const std::string& /*name*/) {}

  void check_app(const StaticConfig& app, const PoolConfig& pool, const std::string& name) {
    const Position where = app.root_position.file.empty() ? pool.position : app.root_position;
    // An empty root was not written, which the reader has told.
    if (const auto why = app.root.empty() ? std::nullopt : why_no_directory(app.root))
      complain(where, fmt::format("cannot serve {}: {}", in_quotes(app.root), *why));
    const std::string table = name + ".static";
    const auto at = [&](const std::string& key) { return position(table + '.' + key, pool.position); };
    for (std::size_t i = 0; i < app.index.size(); ++i)
      if (app.index[i].contains('/'))
        complain(at(fmt::format("index[{}]", i)), fmt::format("index file {} has a slash", in_quotes(app.index[i])),
                 "write the name of a file; it is looked for in each directory");
    if (const auto why = config_.position_of(table + ".mime_types") ? why_no_file(app.mime_types) : std::nullopt)
      complain(at("mime_types"), fmt::format("cannot read {}: {}", in_quotes(app.mime_types), *why));
    if (!is_header_value(app.default_type))
      complain(at("default_type"), fmt::format("the type {} has spaces around it", in_quotes(app.default_type)));
    if (!app.fallback.empty() && !is_name_below(app.fallback))
      complain(at("fallback"), fmt::format("the fallback {} is no file of the root", in_quotes(app.fallback)),
               kNameBelowHint);
    check_codings(app, at);
    check_cache_control(app, at);
    check_error_pages(app, at);
  }

  template <class At>
  void check_codings(const StaticConfig& app, const At& at) {
    const std::vector<std::string>& codings = app.precompressed;
    for (std::size_t i = 0; i < codings.size(); ++i) {
      const std::string& coding = codings[i];
      if (coding.empty()) continue;  // was of another type, which the reader has told
      const Position where = at(fmt::format("precompressed[{}]", i));
      if (std::ranges::find(kCodings, coding) == kCodings.end())
        complain(where, fmt::format("the coding {} is not known", in_quotes(coding)),
                 R"(write "br" for files that end in .br, "zstd" for .zst, "gzip" for .gz)");
      else if (std::find(codings.begin(), codings.begin() + static_cast<std::ptrdiff_t>(i), coding) !=
               codings.begin() + static_cast<std::ptrdiff_t>(i))
        complain(where, fmt::format("the coding {} stands there twice", in_quotes(coding)));
    }
  }

  template <class At>
  void check_cache_control(const StaticConfig& app, const At& at) {
    for (const auto& [pattern, value] : app.cache_control) {
      const Position where = at("cache_control." + escaped(pattern));
      if (pattern.empty())
        complain(where, "an empty pattern matches no file", R"(write "*" for all files)");
      else if (value.empty() || !is_header_value(value))
        complain(where, fmt::format("Cache-Control cannot be {}", in_quotes(value)), R"(write for example "no-cache")");
    }
  }

  template <class At>
  void check_error_pages(const StaticConfig& app, const At& at) {
    for (const auto& [status, page] : app.error_pages) {
      const Position where = at("error_pages." + escaped(status));
      if (!is_error_status(status))
        complain(where, fmt::format("{} is no status of an error", in_quotes(status)),
                 R"(write a number from "400" to "599", "4xx" or "5xx")");
      if (!is_name_below(page))
        complain(where, fmt::format("the error page {} is no file of the root", in_quotes(page)), kNameBelowHint);
    }
  }

  void check_app(const ExecConfig& app, const PoolConfig& pool, const std::string& /*name*/) {
    check_exec(config_, pool, app, diagnostics_);
  }

  void check_app(const WsgiConfig& app, const PoolConfig& pool, const std::string& /*name*/) {
    check_wsgi(config_, pool, app, diagnostics_);
  }

  void check_app(const ModuleConfig& app, const PoolConfig& pool, const std::string& /*name*/) {
    check_module(pool, app, diagnostics_);
  }

  void check_app(const RespondConfig& app, const PoolConfig& pool, const std::string& name) {
    const std::string table = name + ".respond";
    for (const auto& [header, value] : app.headers)
      if (auto wrong = why_no_header(header, value))
        complain(position(fmt::format("{}.headers.{}", table, escaped(header)), pool.position),
                 std::move(wrong->message), std::move(wrong->hint));
    if (!app.body.empty() && forbids_body(app.status))
      complain(position(table + ".body", pool.position),
               fmt::format("{}.body is given, and an answer with status {} has none", table, app.status),
               "leave it out, or choose another status");
  }

  const Config& config_;
  std::vector<Diagnostic> diagnostics_;
  std::map<std::string_view, const Position*> listeners_;
};

}  // namespace

std::vector<Diagnostic> check(const Config& config) {
  return Checker{config}.run();
}

}  // namespace prong::config
