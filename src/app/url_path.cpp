#include "app/url_path.hpp"

#include <cstddef>
#include <optional>

namespace prong::app {
namespace {

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kNotFound = 404;
constexpr std::string_view kWellKnown = ".well-known";

std::optional<unsigned> hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return static_cast<unsigned>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a') + 10;
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A') + 10;
  return std::nullopt;
}

// Appends one part, decoded. The result is a status, or 0.
std::uint16_t decode_part(std::string_view part, std::string& name) {
  bool has_slash = false;
  for (std::size_t i = 0; i < part.size(); ++i) {
    char byte = part[i];
    if (byte == '%') {
      if (part.size() - i < 3) return kBadRequest;
      const std::optional<unsigned> high = hex_value(part[i + 1]);
      const std::optional<unsigned> low = hex_value(part[i + 2]);
      if (!high || !low) return kBadRequest;
      byte = static_cast<char>(*high * 16 + *low);
      i += 2;
      has_slash = has_slash || byte == '/';
    }
    if (byte == '\0') return kBadRequest;
    name += byte;
  }
  return has_slash ? kNotFound : 0;
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
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' ||
         byte == '.' || byte == '_' || byte == '~';
}

}  // namespace

std::expected<UrlPath, std::uint16_t> parse_url_path(std::string_view path) {
  if (!path.starts_with('/')) return std::unexpected(kBadRequest);
  UrlPath result;
  result.name.reserve(path.size());
  for (std::size_t at = 1; at <= path.size();) {
    const std::string_view part = path.substr(at, path.find('/', at) - at);
    at += part.size() + 1;
    const std::size_t before = result.name.size();
    if (before > 0) result.name += '/';
    const std::size_t begin = result.name.size();
    if (const std::uint16_t status = decode_part(part, result.name); status != 0) return std::unexpected(status);
    const std::string_view decoded = std::string_view(result.name).substr(begin);
    const bool goes_up = decoded == "..";
    result.wants_directory = decoded.empty() || decoded == "." || goes_up;
    if (!result.wants_directory) continue;
    result.name.erase(before);
    if (goes_up && !pop_part(result.name)) return std::unexpected(kBadRequest);
  }
  if (is_hidden(result.name)) return std::unexpected(kNotFound);
  return result;
}

std::string directory_url_path(std::string_view name) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string path = "/";
  for (const char byte : name) {
    if (byte == '/' || is_unreserved(byte)) {
      path += byte;
      continue;
    }
    const auto value = static_cast<unsigned char>(byte);
    path += '%';
    path += kDigits[value >> 4U];
    path += kDigits[value & 0xFU];
  }
  if (!name.empty()) path += '/';
  return path;
}

}  // namespace prong::app
