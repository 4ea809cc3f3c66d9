// The path of a request as the name of a file below a root: decoded, without dots, and harmless.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace prong::app {

struct UrlPath {
  std::string name;             // relative, without empty, "." and ".." parts: "a/b"; empty for the root itself
  bool wants_directory = true;  // it ends in a slash or in a dot part
};

// Takes a percent-encoded absolute path apart (RFC 3986 sections 2.1, 3.3, 5.2.4). Empty parts are dropped. The error
// is the status to answer with: 400 for what is no path (a bad escape, NUL, more ".." than there are parts), 404 for
// what no file can be called (an encoded slash) or nobody shall see: a part that begins with a dot, but for
// /.well-known (RFC 8615).
[[nodiscard]] std::expected<UrlPath, std::uint16_t> parse_url_path(std::string_view path);

// The canonical path of a directory, encoded again: "/a%20b/". It never begins with two slashes, so that it cannot be
// taken for another host when it stands in a Location.
[[nodiscard]] std::string directory_url_path(std::string_view name);

}  // namespace prong::app
