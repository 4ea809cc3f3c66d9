// Media types by extension.
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

#include "app/mime_types.hpp"

using prong::app::MimeTypes;

TEST_CASE("a known extension has its type, text says that it is UTF-8") {
  const MimeTypes types;
  CHECK(types.of("index.html") == "text/html; charset=utf-8");
  CHECK(types.of("a/b.c/style.css") == "text/css; charset=utf-8");
  CHECK(types.of("code.mjs") == "text/javascript; charset=utf-8");
  CHECK(types.of("data.json") == "application/json");
  CHECK(types.of("font.woff2") == "font/woff2");
  CHECK(types.of("code.wasm") == "application/wasm");
  CHECK(types.of("image.avif") == "image/avif");
  CHECK(types.of("image.svg") == "image/svg+xml");
  CHECK(types.of("archive.tar.gz") == "application/gzip");
  CHECK(types.of("first.7z") == "application/x-7z-compressed");
  CHECK(types.of("last.zst") == "application/zstd");
  CHECK(types.of("c.c") == "text/x-c; charset=utf-8");
}

TEST_CASE("the case of an extension does not matter") {
  const MimeTypes types;
  CHECK(types.of("INDEX.HTML") == types.of("index.html"));
  CHECK(types.of("photo.JpEg") == "image/jpeg");
  CHECK(MimeTypes::parse("x/y ABC").of("a.abc") == "x/y");
  CHECK(MimeTypes::parse("x/y abc").of("a.AbC") == "x/y");
}

TEST_CASE("an unknown extension, or none, has no type") {
  for (const std::string_view name : {"", "name", "html", "a.html/name", "a.", ".", "a.htm l", "a.unknown", "a.htmlx",
                                      "a.an-extension-longer-than-any", "a.zzzzzzzzzzzzzzzz"})
    CHECK(MimeTypes().of(name).empty());
}

TEST_CASE("a file of types is read in Debian's format, and the built-in ones are behind it") {
  const MimeTypes types = MimeTypes::parse(
      "# a comment\n\n"
      "application/x-own\town  OWN2 # and\tthis\n"
      "text/x-own\ttxt2\r\n"
      "application/none\n"
      "text/html\n"
      "image/other png\n"
      "no-type ext\n"
      "bad/ty\x01pe ext\n"
      "a/b an-extension-longer-than-any-there-is short\n"
      "application/javascript js\n"
      "x/first twice\n"
      "x/second twice");
  CHECK(types.of("a.own") == "application/x-own");
  CHECK(types.of("a.own2") == "application/x-own");
  CHECK(types.of("a.and").empty());
  CHECK(types.of("a.this").empty());
  CHECK(types.of("a.txt2") == "text/x-own; charset=utf-8");
  CHECK(types.of("a.html") == "text/html; charset=utf-8");
  CHECK(types.of("a.png") == "image/other");
  CHECK(types.of("a.ext").empty());
  CHECK(types.of("a.short") == "a/b");
  CHECK(types.of("a.js") == "text/javascript; charset=utf-8");
  CHECK(types.of("a.twice") == "x/second");
  CHECK(types.of("a.").empty());
}

TEST_CASE("the system's own file is understood, and one that is not there is no error") {
  const auto none = MimeTypes::load("/nonexistent/mime.types");
  REQUIRE(none.has_value());
  CHECK(none->of("a.css") == "text/css; charset=utf-8");
  const auto directory = MimeTypes::load("/");
  REQUIRE_FALSE(directory.has_value());
  CHECK(directory.error().message.starts_with("cannot read \"/\": "));
  const auto system = MimeTypes::load("/etc/mime.types");
  REQUIRE(system.has_value());
  for (const char* name : {"a.html", "a.css", "a.js", "a.mjs"}) CHECK(system->of(name) == MimeTypes().of(name));
  CHECK(system->of("a.png") == "image/png");
}
