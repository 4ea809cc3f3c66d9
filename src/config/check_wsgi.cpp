#include "config/check_wsgi.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/characters.hpp"
#include "base/escape.hpp"
#include "config/value.hpp"

namespace prong::config {
namespace {

bool is_identifier(std::string_view text) {
  // What is not ASCII is Python's to judge.
  const auto allowed = [](char c) {
    return is_letter(c) || is_digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80U;
  };
  return !text.empty() && !is_digit(text.front()) && std::ranges::all_of(text, allowed);
}

bool is_dotted_name(std::string_view text) {
  while (true) {
    const std::size_t dot = text.find('.');
    if (!is_identifier(text.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool names_an_application(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (!is_dotted_name(text.substr(0, colon))) return false;
  if (colon == std::string_view::npos) return true;
  std::string_view name = text.substr(colon + 1);
  if (name.ends_with("()")) name.remove_suffix(2);
  return is_dotted_name(name);
}

}  // namespace

void check_wsgi(const Config& config, const PoolConfig& pool, const WsgiConfig& wsgi,
                std::vector<Diagnostic>& diagnostics) {
  const std::string table = "pool." + pool.name + ".wsgi";
  const auto complain = [&](const std::string& key, std::string message, std::string hint) {
    const Position* written = config.position_of(table + '.' + key);
    diagnostics.push_back({.position = written != nullptr ? *written : pool.position,
                           .message = std::move(message),
                           .hint = std::move(hint)});
  };
  // An empty one is one that the reader has told about.
  if (!wsgi.app.empty() && !names_an_application(wsgi.app))
    complain("app", fmt::format("{}.app = {} names no application", table, in_quotes(wsgi.app)),
             R"-(write "module:name" or "module:factory()", as in "shop.wsgi:application")-");
  const auto check_folder = [&](const std::string& key, const std::string& path) {
    struct stat status{};
    const int error = path.empty() || ::stat(path.c_str(), &status) == 0 ? 0 : errno;
    if (error == 0 && (path.empty() || S_ISDIR(status.st_mode))) return;
    complain(key, fmt::format("{}.{}: {}: {}", table, key, in_quotes(path), errno_text(error != 0 ? error : ENOTDIR)),
             "write a folder that is there");
  };
  for (std::size_t i = 0; i < wsgi.path.size(); ++i) check_folder(fmt::format("path[{}]", i), wsgi.path[i]);
  check_folder("chdir", wsgi.chdir);
  check_folder("venv", wsgi.venv);
  if (!wsgi.venv.empty() && !wsgi.python.empty())
    complain("python", fmt::format("{0}.python and {0}.venv are both given", table),
             "a virtual environment has its own interpreter; leave one of them out");
  for (const auto& [name, value] : wsgi.env) {
    const std::string key = "env." + escaped(name);
    if (name.empty() || name.contains('=') || name.contains('\0'))
      complain(key, fmt::format("{} is no name of a variable", in_quotes(name)), "a name is not empty and has no =");
    if (value.contains('\0'))
      complain(key, fmt::format("{} has a NUL byte", in_quotes(value)), "no variable can have one");
  }
}

}  // namespace prong::config
