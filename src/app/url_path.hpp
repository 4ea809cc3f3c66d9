// The path of a request as the name of a file below a root: decoded, without dots, and harmless.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace prong::app {

struct UrlPath {
  std::string name;             // relative, without empty, "." and ".." parts: "a/b"; empty for the root itself
  bool wants_directory = true;  // it ends in a slash or in a dot part
};

enum class PathError : std::uint8_t {
  kMalformed,  // no path: a bad escape, NUL, more ".." than there are parts
  kNoName,     // no file can be called so: an encoded slash
  kHidden,     // nobody shall see it: a part that begins with a dot, but for /.well-known (RFC 8615)
};

// Takes a percent-encoded absolute path apart (RFC 3986 sections 2.1, 3.3, 5.2.4). Empty parts are dropped.
[[nodiscard]] std::expected<UrlPath, PathError> parse_url_path(std::string_view path);

// The same for who only wants to know what is meant: hidden names too.
[[nodiscard]] std::expected<UrlPath, PathError> normal_url_path(std::string_view path);

// What parse_url_path() would call a path in which nothing has to be decoded or left out, as most are: a part of
// `path`, with the slash that it may end in. Nothing: it takes more than a look.
[[nodiscard]] std::optional<std::string_view> plain_name(std::string_view path);

// How many bytes of `path`, percent-encoded and as it was sent, say the whole parts of `prefix`, which is decoded and
// ends in no slash: 5 of "/shop/a", "/shop" and 7 of "/sh%6Fp/a" for "/shop". Dots are parts like any other. Nothing:
// the path is elsewhere.
[[nodiscard]] std::optional<std::size_t> prefix_size(std::string_view path, std::string_view prefix);

// A relative name as a path is written in a URL: all but unreserved characters and slashes is percent-encoded.
void append_encoded(std::string& url, std::string_view name);

// The canonical path of a directory, encoded again: "/a%20b/". It never begins with two slashes, so that it cannot be
// taken for another host when it stands in a Location.
[[nodiscard]] std::string directory_url_path(std::string_view name);

}  // namespace prong::app
