// Paths of requests from anywhere: what becomes the name of a file is harmless, and written as a URL again it is read
// as the same name.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "app/glob.hpp"
#include "app/listing.hpp"
#include "app/url_path.hpp"

namespace {

using namespace prong;

void require(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

void check_name(std::string_view name) {
  require(!name.contains('\0'), "a name has no NUL");
  require(!name.starts_with('/') && !name.ends_with('/'), "a name is relative and has no slash at its end");
  bool is_first = true;
  for (std::string_view rest = name; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('/'));
    rest.remove_prefix(std::min(part.size() + 1, rest.size()));
    require(!part.empty(), "a name has no empty part");
    require(!part.starts_with('.') || (is_first && part == ".well-known"), "a name has no hidden or dot part");
    is_first = false;
  }
}

void check_round_trip(const app::UrlPath& path) {
  const std::string url = app::directory_url_path(path.name);
  require(url.starts_with('/') && !url.starts_with("//"), "a directory's path names no other host");
  require(std::ranges::all_of(url, [](char byte) { return byte > ' ' && byte < 0x7F; }), "and is printable");
  const auto again = app::parse_url_path(url);
  require(again && again->name == path.name && again->wants_directory, "and is read as the same directory");
}

void check_listing(std::string_view name) {
  os::DirectoryContent content;
  content.entries.push_back({.name = std::string(name), .info = {}});
  const std::string page = app::listing_page(name, std::move(content));
  const std::size_t begin = page.find("<h1>Index of ") + 13;
  const std::string_view title = std::string_view(page).substr(begin, page.find("</h1>") - begin);
  require(title.find_first_of("<>\"'") == std::string_view::npos, "a title is text");
  const std::size_t link = page.rfind("<a href=\"") + 9;
  const std::string_view reference = std::string_view(page).substr(link, page.find('"', link) - link);
  require(reference.find_first_of("<>&'") == std::string_view::npos, "a link is a link");
  require(std::ranges::all_of(page,
                              [](char byte) {
                                const auto value = static_cast<unsigned char>(byte);
                                return value >= ' ' || byte == '\n';
                              }),
          "a page has no control characters");
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto path = app::parse_url_path(text);
  const auto plain = app::plain_name(text);
  if (plain) {
    require(path.has_value(), "a plain name is a path");
    const std::string as_directory = path->name.empty() ? std::string() : path->name + '/';
    require(*plain == (path->wants_directory ? as_directory : path->name), "a plain name is the name");
  }
  if (path) {
    check_name(path->name);
    check_round_trip(*path);
    check_listing(path->name);
    require(app::glob_matches("*", path->name) && app::glob_matches("**", path->name), "a star matches all");
    std::string encoded;
    app::append_encoded(encoded, path->name);
    require(!encoded.contains('%') || encoded != path->name, "what is encoded says so");
  }
  if (const auto size = app::prefix_size(text, "/a/b")) {
    require(*size <= text.size() && (*size == text.size() || text[*size] == '/'), "a prefix is one of whole parts");
    const auto prefix = app::normal_url_path(text.substr(0, *size));
    require(prefix && prefix->name == "a/b", "and means what it is the prefix for");
  }
  // A pattern and a text of any bytes.
  const std::size_t half = text.find('/') == std::string_view::npos ? size / 2 : text.find('/');
  const std::string_view pattern = text.substr(0, half);
  const bool matches = app::glob_matches(pattern, text.substr(half));
  if (!pattern.contains('*') && !pattern.contains('?'))
    require(matches == (pattern == text.substr(half)), "a pattern without wildcards is a text");
  return 0;
}
