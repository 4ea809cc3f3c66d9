// Media types by extension.
#include <catch2/catch.hpp>

#include <string_view>

#include "app/mime_types.hpp"

using prong::app::mime_type;

TEST_CASE("a known extension has its type, text says that it is UTF-8") {
  CHECK(mime_type("index.html") == "text/html; charset=utf-8");
  CHECK(mime_type("a/b.c/style.css") == "text/css; charset=utf-8");
  CHECK(mime_type("code.mjs") == "text/javascript; charset=utf-8");
  CHECK(mime_type("data.json") == "application/json");
  CHECK(mime_type("font.woff2") == "font/woff2");
  CHECK(mime_type("code.wasm") == "application/wasm");
  CHECK(mime_type("image.avif") == "image/avif");
  CHECK(mime_type("image.svg") == "image/svg+xml");
  CHECK(mime_type("archive.tar.gz") == "application/gzip");
  CHECK(mime_type("first.7z") == "application/x-7z-compressed");
  CHECK(mime_type("last.zst") == "application/zstd");
  CHECK(mime_type("c.c") == "text/x-c; charset=utf-8");
}

TEST_CASE("the case of an extension does not matter") {
  CHECK(mime_type("INDEX.HTML") == mime_type("index.html"));
  CHECK(mime_type("photo.JpEg") == "image/jpeg");
}

TEST_CASE("an unknown extension, or none, has no type") {
  for (const std::string_view name : {"", "name", "html", "a.html/name", "a.", ".", "a.htm l", "a.unknown", "a.htmlx",
                                      "a.an-extension-longer-than-any", "a.zzzzzzzzzzzzzzzz"})
    CHECK(mime_type(name).empty());
}
