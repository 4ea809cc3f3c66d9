#include "config/check_paths.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/error.hpp"
#include "base/escape.hpp"
#include "config/files.hpp"
#include "config/value.hpp"

namespace prong::config {
namespace {

constexpr const char* kExample = R"(write it as it reads when it is decoded, for example "/shop")";

// Equal for prefixes that mean the same.
std::string_view without_last_slash(std::string_view prefix) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  return prefix;
}

// Why no path can be below that prefix, or none is meant to be; nothing when it is good.
std::optional<Error> why_no_prefix(std::string_view prefix) {
  if (!prefix.starts_with('/'))
    return Error{.message = fmt::format("the prefix {} does not begin with a slash", in_quotes(prefix)),
                 .hint = kExample};
  if (const std::size_t at = prefix.find_first_of("?#%"); at != std::string_view::npos)
    return Error{.message = fmt::format("the prefix {} has {}", in_quotes(prefix), in_quotes(prefix.substr(at, 1))),
                 .hint = kExample};
  if (std::ranges::any_of(prefix, [](char byte) { return (byte >= 0 && byte < ' ') || byte == 0x7f; }))
    return Error{.message = fmt::format("the prefix {} has a control character", in_quotes(prefix)), .hint = kExample};
  for (std::string_view rest = without_last_slash(prefix); !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('/'));
    if (part.empty() || part == "." || part == "..")
      return Error{.message = fmt::format(R"(the prefix {} has an empty part, "." or "..")", in_quotes(prefix)),
                   .hint = kExample};
    rest.remove_prefix(part.size());
  }
  return std::nullopt;
}

class PathsChecker {
 public:
  PathsChecker(const Config& config, const PoolConfig& pool, std::vector<Diagnostic>& diagnostics)
      : config_(config), pool_(pool), diagnostics_(diagnostics) {}

  void run() {
    for (const auto& [prefix, folder] : pool_.static_map) check_folder(prefix, folder);
    if (pool_.path_prefix.empty()) return;
    if (pool_.path_prefix == "/")
      complain("path_prefix", "the prefix \"/\" is that of every path", "leave it out");
    else if (auto wrong = why_no_prefix(pool_.path_prefix))
      complain("path_prefix", std::move(wrong->message), std::move(wrong->hint));
  }

 private:
  [[nodiscard]] const Position& position(const std::string& key) const {
    const Position* const written = config_.position_of(fmt::format("pool.{}.{}", pool_.name, key));
    return written != nullptr ? *written : pool_.position;
  }

  void complain(const std::string& key, std::string message, std::string hint = {}) {
    diagnostics_.push_back({.position = position(key), .message = std::move(message), .hint = std::move(hint)});
  }

  void check_folder(const std::string& prefix, const std::string& folder) {
    const std::string key = "static_map." + escaped(prefix);
    if (prefix == "/")
      complain(key, "the prefix \"/\" leaves nothing to the application", "write static = { root = ... } for that");
    else if (auto wrong = why_no_prefix(prefix))
      complain(key, std::move(wrong->message), std::move(wrong->hint));
    const auto [first, is_new] = prefixes_.try_emplace(without_last_slash(prefix), key);
    if (!is_new)
      complain(key, fmt::format("the prefix {} stands there twice", in_quotes(prefix)),
               "the first one is at " + to_text(position(first->second)));
    if (const auto why = why_no_directory(folder))
      complain(key, fmt::format("cannot serve {}: {}", in_quotes(folder), *why),
               "make the folder, or choose another one");
  }

  const Config& config_;
  const PoolConfig& pool_;
  std::vector<Diagnostic>& diagnostics_;
  std::map<std::string_view, std::string> prefixes_;  // without their last slash, and their keys
};

}  // namespace

void check_paths(const Config& config, const PoolConfig& pool, std::vector<Diagnostic>& diagnostics) {
  if (runs_streams(pool.app) || std::holds_alternative<ExecConfig>(pool.app)) return;
  PathsChecker{config, pool, diagnostics}.run();
}

}  // namespace prong::config
