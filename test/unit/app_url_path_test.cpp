// What a request's path becomes before it meets the file system.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include "app/url_path.hpp"

using namespace std::string_literals;
using prong::app::directory_url_path;
using prong::app::parse_url_path;
using prong::app::PathError;
using prong::app::plain_name;

TEST_CASE("a path is decoded and made relative, without dots and empty parts") {
  struct Row {
    const char *path, *name;
    bool wants_directory;
  };
  const auto row =
      GENERATE(Row{"/", "", true}, Row{"/a", "a", false}, Row{"/a/", "a", true}, Row{"/a/b.c", "a/b.c", false},
               Row{"//a///b//", "a/b", true}, Row{"/a%20b", "a b", false}, Row{"/%61%2E%62", "a.b", false},
               Row{"/a/./b", "a/b", false}, Row{"/./a", "a", false}, Row{"/a/.", "a", true}, Row{"/a/..", "", true},
               Row{"/a/b/..", "a", true}, Row{"/a/../b", "b", false}, Row{"/a/b/../../c", "c", false},
               Row{"/a/%2e%2E/b", "b", false}, Row{"/a/%2e/b", "a/b", false}, Row{"/%C3%A4", "\xc3\xa4", false},
               Row{"/a+b", "a+b", false}, Row{"/a%25b", "a%b", false}, Row{"/a\\b", "a\\b", false},
               Row{"/a;b=c", "a;b=c", false}, Row{"/a..", "a..", false}, Row{"/a.", "a.", false},
               Row{"/.well-known/acme", ".well-known/acme", false}, Row{"/.well-known/", ".well-known", true},
               Row{"/a/.b/../c", "a/c", false});
  INFO(row.path);
  const auto path = parse_url_path(row.path);
  REQUIRE(path.has_value());
  CHECK(path->name == row.name);
  CHECK(path->wants_directory == row.wants_directory);
}

TEST_CASE("what is no path, or leads out of the root, is 400") {
  for (const std::string_view path :
       {"", "a", "*", "/..", "/../a", "/a/../..", "/a/../../b", "/%2e%2e/a", "/%2E./a", "/./../a", "//..", "/%", "/a%2",
        "/%zz", "/%2x", "/a%", "/%00", "/a%00.png", "/%%32"}) {
    INFO(path);
    const auto result = parse_url_path(path);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error() == PathError::kMalformed);
  }
  CHECK(parse_url_path("/a\0b"s).error() == PathError::kMalformed);
}

TEST_CASE("an encoded slash is in no name, and a hidden name is refused") {
  for (const std::string_view path : {"/a%2fb", "/a%2Fb", "/..%2fa", "/%2f", "/%2e%2e%2fa", "/.a%2fb"}) {
    INFO(path);
    const auto result = parse_url_path(path);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error() == PathError::kNoName);
  }
  for (const std::string_view path : {"/.git", "/.git/config", "/a/.b", "/a/.b/c", "/%2egit", "/...", "/.well-knownx",
                                      "/.well-known/.a", "/a/.well-known", "/..a"}) {
    INFO(path);
    const auto result = parse_url_path(path);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error() == PathError::kHidden);
  }
}

TEST_CASE("a path in which nothing has to be done is its name as it stands") {
  for (const std::string_view path :
       {"/", "/a", "/a/", "/a/b.c", "/a.", "/a..", "/a./b", "/a+b;c=d", "/\xc3\xa4", "/a\\b"}) {
    INFO(path);
    const auto name = plain_name(path);
    const auto parsed = parse_url_path(path);
    REQUIRE(name.has_value());
    REQUIRE(parsed.has_value());
    CHECK(*name == (parsed->wants_directory && !parsed->name.empty() ? parsed->name + '/' : parsed->name));
  }
  for (const std::string_view path : {"", "*", "a", "//", "//a", "/a//b", "/a//", "/.", "/..", "/.git", "/a/.", "/a/..",
                                      "/a/./b", "/a/.b", "/%61", "/a%2fb", "/.well-known/x", "/%"})
    CHECK_FALSE(plain_name(path).has_value());
  CHECK_FALSE(plain_name("/a\0b"s).has_value());
}

TEST_CASE("a directory's path is encoded again and never names another host") {
  CHECK(directory_url_path("") == "/");
  CHECK(directory_url_path("a/b") == "/a/b/");
  CHECK(directory_url_path("a b") == "/a%20b/");
  CHECK(directory_url_path("\xc3\xa4?#%\r\n\\") == "/%C3%A4%3F%23%25%0D%0A%5C/");
  CHECK(directory_url_path(parse_url_path("//evil.example")->name) == "/evil.example/");
}

TEST_CASE("a path that is encoded again is read as the same name") {
  std::string name;
  for (int byte = 1; byte < 256; ++byte)
    if (byte != '/') name += static_cast<char>(byte);
  const auto path = parse_url_path(directory_url_path(name));
  REQUIRE(path.has_value());
  CHECK(path->name == name);
  CHECK(path->wants_directory);
}
