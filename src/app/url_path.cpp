#include "app/url_path.hpp"

#include <cstddef>
#include <optional>

#include "app/percent.hpp"
#include "base/characters.hpp"

namespace prong::app {
namespace {

constexpr std::string_view kWellKnown = ".well-known";

// Appends one part, decoded.
std::expected<void, PathError> decode_part(std::string_view part, std::string& name) {
  bool has_slash = false;
  for (std::size_t i = 0; i < part.size(); ++i) {
    char byte = part[i];
    if (byte == '%') {
      const std::optional<char> decoded = leading_escape(part.substr(i));
      if (!decoded) return std::unexpected(PathError::kMalformed);
      byte = *decoded;
      i += kEscapeSize - 1;
      has_slash = has_slash || byte == '/';
    }
    if (byte == '\0') return std::unexpected(PathError::kMalformed);
    name += byte;
  }
  if (has_slash) return std::unexpected(PathError::kNoName);
  return {};
}

// Takes the last part off. False when there is none.
bool pop_part(std::string& name) {
  if (name.empty()) return false;
  const std::size_t slash = name.rfind('/');
  name.erase(slash == std::string::npos ? 0 : slash);
  return true;
}

bool is_hidden(std::string_view name) {
  if (name.starts_with('.') && name != kWellKnown && !name.starts_with(".well-known/")) return true;
  return name.find("/.") != std::string_view::npos;
}

// RFC 3986 section 3.3: what may stand in a path as it is, but for ':' and the like, which need not be tried.
bool is_unreserved(char byte) {
  return is_letter(byte) || is_digit(byte) || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

}  // namespace

std::expected<UrlPath, PathError> normal_url_path(std::string_view path) {
  if (!path.starts_with('/')) return std::unexpected(PathError::kMalformed);
  UrlPath result;
  result.name.reserve(path.size());
  for (std::size_t at = 1; at <= path.size();) {
    const std::string_view part = path.substr(at, path.find('/', at) - at);
    at += part.size() + 1;
    const std::size_t before = result.name.size();
    if (before > 0) result.name += '/';
    const std::size_t begin = result.name.size();
    if (const auto decoded = decode_part(part, result.name); !decoded) return std::unexpected(decoded.error());
    const std::string_view added = std::string_view(result.name).substr(begin);
    const bool goes_up = added == "..";
    result.wants_directory = added.empty() || added == "." || goes_up;
    if (!result.wants_directory) continue;
    result.name.erase(before);
    if (goes_up && !pop_part(result.name)) return std::unexpected(PathError::kMalformed);
  }
  return result;
}

std::expected<UrlPath, PathError> parse_url_path(std::string_view path) {
  auto result = normal_url_path(path);
  if (result && is_hidden(result->name)) return std::unexpected(PathError::kHidden);
  return result;
}

std::optional<std::string_view> plain_name(std::string_view path) {
  if (!path.starts_with('/')) return std::nullopt;
  char before = '/';
  for (const char byte : path.substr(1)) {
    if (byte == '%' || byte == '\0') return std::nullopt;
    if (before == '/' && (byte == '/' || byte == '.')) return std::nullopt;
    before = byte;
  }
  return path.substr(1);
}

std::optional<std::size_t> prefix_size(std::string_view path, std::string_view prefix) {
  std::size_t at = 0;
  for (const char wanted : prefix) {
    if (at == path.size()) return std::nullopt;
    if (path[at] != '%') {
      if (path[at++] != wanted) return std::nullopt;
      continue;
    }
    const std::optional<char> byte = leading_escape(path.substr(at));
    // An encoded slash is part of a name.
    if (!byte || *byte != wanted || wanted == '/') return std::nullopt;
    at += kEscapeSize;
  }
  if (at < path.size() && path[at] != '/') return std::nullopt;
  return at;
}

void append_encoded(std::string& url, std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char byte : name) {
    if (byte == '/' || is_unreserved(byte)) {
      url += byte;
      continue;
    }
    const auto value = static_cast<unsigned char>(byte);
    url += '%';
    url += kDigits[value >> 4U];
    url += kDigits[value & 0xFU];
  }
}

std::string directory_url_path(std::string_view name) {
  std::string path = "/";
  append_encoded(path, name);
  if (!name.empty()) path += '/';
  return path;
}

}  // namespace prong::app
