// What is said of a file that is there, and of one that is not: conditions, ranges, codings, and the operator's wishes.
#include <catch2/catch.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app_request.hpp"
#include "app_site.hpp"

using namespace prong;
using namespace prong::test;
namespace fs = std::filesystem;

namespace {

// "HEADERS|BODY" of each part of a multipart/byteranges.
std::vector<std::string> parts_of(const Answered& answer) {
  const std::string type = answer.field("Content-Type");
  constexpr std::string_view kType = "multipart/byteranges; boundary=";
  REQUIRE(type.starts_with(kType));
  const std::string delimiter = "\r\n--" + type.substr(kType.size());
  std::string rest = "\r\n" + answer.body;
  std::vector<std::string> parts;
  REQUIRE(rest.starts_with(delimiter + "\r\n"));
  while (!rest.starts_with(delimiter + "--\r\n")) {
    rest.erase(0, delimiter.size() + 2);
    const std::size_t end = rest.find(delimiter);
    REQUIRE(end != std::string::npos);
    std::string part = rest.substr(0, end);
    const std::size_t blank = part.find("\r\n\r\n");
    REQUIRE(blank != std::string::npos);
    parts.push_back(part.replace(blank, 4, "|"));
    rest.erase(0, end);
  }
  CHECK(rest == delimiter + "--\r\n");
  return parts;
}

}  // namespace

TEST_CASE("a client that has the file already gets 304") {
  const Site site;
  const auto files = site.files();
  const Answered first = get(*files, "/a.txt");
  const std::string etag = first.field("ETag");
  for (const Fields& condition :
       {Fields{{"If-None-Match", etag}}, Fields{{"If-Modified-Since", first.field("Last-Modified")}}}) {
    const Answered answer = get(*files, "/a.txt", condition);
    CHECK(answer.status == 304);
    CHECK(answer.field("ETag") == etag);
    CHECK(answer.field("Content-Type").empty());
    CHECK(answer.body.empty());
  }
  CHECK(get(*files, "/a.txt", {{"If-None-Match", "\"other\""}}).status == 200);
  CHECK(get(*files, "/a.txt", {{"If-Match", "\"other\""}}).status == 412);
  CHECK(get(*files, "/a.txt", {{"If-Match", etag}}).status == 200);
  site.replace("a.txt", "b text\n");
  const Answered changed = get(*files, "/a.txt", {{"If-None-Match", etag}});
  CHECK(changed.status == 200);
  CHECK(changed.body == "b text\n");
}

TEST_CASE("a part of a file is 206 and says which, from memory and from a descriptor") {
  const Site site;
  site.write("digits.txt", "0123456789");
  for (const std::uint64_t in_memory : {0U, 100U}) {
    app::StaticSettings settings = site.settings();
    settings.cache_file_size = {in_memory};
    const auto files = Site::serve(std::move(settings));
    const Answered all = get(*files, "/digits.txt");
    CHECK(all.field("Accept-Ranges") == "bytes");
    const Answered part = get(*files, "/digits.txt", {{"Range", "bytes=2-4"}});
    CHECK(part.status == 206);
    CHECK(part.from_file == (in_memory == 0));
    CHECK(part.body == "234");
    CHECK(part.headers == all.headers + "Content-Range: bytes 2-4/10\r\n");
    CHECK(get(*files, "/digits.txt", {{"Range", "bytes=-3"}}).body == "789");
    CHECK(get(*files, "/digits.txt", {{"Range", "bytes=8-100"}}).field("Content-Range") == "bytes 8-9/10");
    CHECK(get(*files, "/digits.txt", {{"Range", "bytes=0-4,5-"}}).field("Content-Range") == "bytes 0-9/10");
    const Answered beyond = get(*files, "/digits.txt", {{"Range", "bytes=10-"}});
    CHECK(beyond.status == 416);
    CHECK(beyond.field("Content-Range") == "bytes */10");
    for (const char* ignored : {"bytes=5-4", "items=0-1", "bytes=a"}) {
      const Answered answer = get(*files, "/digits.txt", {{"Range", ignored}});
      CHECK(answer.status == 200);
      CHECK(answer.body == "0123456789");
    }
    CHECK(get(*files, "/digits.txt", {{"Range", "bytes=0-1"}, {"Range", "bytes=2-3"}}).status == 200);
    CHECK(get(*files, "/digits.txt", {{"Range", "bytes=0-1"}}, "HEAD").status == 200);
  }
}

TEST_CASE("several parts of a file come as multipart/byteranges") {
  const Site site;
  site.write("digits.txt", "0123456789");
  for (const std::uint64_t in_memory : {0U, 100U}) {
    app::StaticSettings settings = site.settings();
    settings.cache_file_size = {in_memory};
    const auto files = Site::serve(std::move(settings));
    const Answered answer = get(*files, "/digits.txt", {{"Range", "bytes=7-8, 0-1,3-3"}});
    CHECK(answer.status == 206);
    CHECK(answer.from_file == (in_memory == 0));
    CHECK(answer.field("ETag") == get(*files, "/digits.txt").field("ETag"));
    CHECK(answer.field("Content-Range").empty());
    CHECK(parts_of(answer) ==
          std::vector<std::string>{"Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 7-8/10|78",
                                   "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 0-1/10|01",
                                   "Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes 3-3/10|3"});
    const Answered again = get(*files, "/digits.txt", {{"Range", "bytes=7-8,0-1"}});
    CHECK(again.field("Content-Type") != answer.field("Content-Type"));
  }
}

TEST_CASE("with If-Range a part is only sent of the very file that the client has parts of") {
  const Site site;
  const auto files = site.files();
  const Answered all = get(*files, "/a.txt");
  const std::string etag = all.field("ETag");
  const std::string date = all.field("Last-Modified");
  const auto status = [&](std::string_view if_range) {
    return get(*files, "/a.txt", {{"Range", "bytes=0-1"}, {"If-Range", if_range}}).status;
  };
  CHECK(status(etag) == 206);
  CHECK(status(date) == 206);
  for (const std::string& other :
       {"W/" + etag, std::string("\"x\""), std::string("x"), std::string(),
        std::string("Sun, 06 Nov 1994 08:49:37 GMT"), std::string("Sun, 06 Nov 2094 08:49:37 GMT")})
    CHECK(status(other) == 200);
  CHECK(get(*files, "/a.txt", {{"Range", "bytes=100-"}, {"If-Range", "\"x\""}}).status == 200);
  CHECK(get(*files, "/a.txt", {{"If-Range", "\"x\""}}).status == 200);
  CHECK(get(*files, "/a.txt", {{"Range", "bytes=0-1"}, {"If-None-Match", etag}}).status == 304);
  CHECK(get(*files, "/a.txt", {{"Range", "bytes=0-1"}, {"If-Match", "\"x\""}}).status == 412);
}

TEST_CASE("a compressed sibling is sent to clients that take it, as the file that it stands for") {
  const Site site;
  site.write("b.css", "body { color: red }\n");
  site.write("b.css.br", "BR");
  site.write("b.css.gz", "GZ!");
  site.write("only.css.gz", "GZ");
  const bool is_cached = GENERATE(false, true);
  app::StaticSettings settings = is_cached ? site.cached() : site.settings();
  settings.precompressed = {app::Coding::kBrotli, app::Coding::kZstandard, app::Coding::kGzip};
  const auto files = Site::serve(std::move(settings));
  const Answered plain = get(*files, "/b.css");
  CHECK(plain.body == "body { color: red }\n");
  CHECK(plain.field("Vary") == "Accept-Encoding");
  CHECK(plain.field("Content-Encoding").empty());
  for (int i = 0; i < 2; ++i) {
    const Answered brotli = get(*files, "/b.css", {{"Accept-Encoding", "gzip, deflate, br, zstd"}});
    CHECK(brotli.body == "BR");
    CHECK(brotli.field("Content-Encoding") == "br");
    CHECK(brotli.field("Content-Type") == "text/css; charset=utf-8");
    CHECK(brotli.field("Vary") == "Accept-Encoding");
    const Answered gzip = get(*files, "/b.css", {{"Accept-Encoding", "gzip"}});
    CHECK(gzip.body == "GZ!");
    CHECK(gzip.field("Content-Encoding") == "gzip");
    CHECK(brotli.field("ETag") != gzip.field("ETag"));
    CHECK(brotli.field("ETag") != plain.field("ETag"));
    CHECK(get(*files, "/b.css", {{"Accept-Encoding", "gzip"}, {"If-None-Match", gzip.field("ETag")}}).status == 304);
    CHECK(get(*files, "/b.css", {{"Accept-Encoding", "gzip"}, {"If-None-Match", plain.field("ETag")}}).status == 200);
    const Answered part = get(*files, "/b.css", {{"Accept-Encoding", "gzip"}, {"Range", "bytes=1-"}});
    CHECK(part.body == "Z!");
    CHECK(part.field("Content-Range") == "bytes 1-2/3");
    CHECK(part.field("Content-Encoding") == "gzip");
    CHECK(get(*files, "/b.css", {{"Accept-Encoding", "zstd"}}).field("Content-Encoding").empty());
    CHECK(get(*files, "/b.css", {{"Accept-Encoding", "br;q=0.1, identity"}}).field("Content-Encoding").empty());
    CHECK(get(*files, "/b.css", {{"Accept-Encoding", "identity;q=0, gzip"}}).body == "GZ!");
    const Answered none = get(*files, "/b.css", {{"Accept-Encoding", "identity;q=0, zstd"}});
    CHECK(none.status == 406);
    CHECK(none.field("Vary") == "Accept-Encoding");
    CHECK(get(*files, "/only.css", {{"Accept-Encoding", "gzip"}}).status == 404);
    const Answered itself = get(*files, "/b.css.gz", {{"Accept-Encoding", "gzip"}});
    CHECK(itself.field("Content-Encoding").empty());
    CHECK(itself.field("Content-Type") == "application/gzip");
    CHECK(itself.field("Vary").empty());
  }
}

TEST_CASE("a sibling that is older than its file, or no file, is not sent") {
  const Site site;
  site.write("b.css", "new");
  site.write("b.css.gz", "old");
  site.write("c.css", "c");
  fs::create_directory(site.root() / "c.css.gz");
  site.set_age("b.css", 100);
  site.set_age("b.css.gz", 101);
  app::StaticSettings settings = site.settings();
  settings.precompressed = {app::Coding::kGzip};
  const auto files = Site::serve(std::move(settings));
  CHECK(get(*files, "/b.css", {{"Accept-Encoding", "gzip"}}).body == "new");
  CHECK(get(*files, "/c.css", {{"Accept-Encoding", "gzip"}}).body == "c");
  site.set_age("b.css.gz", 100);
  CHECK(get(*files, "/b.css", {{"Accept-Encoding", "gzip"}}).body == "old");
}

TEST_CASE("without siblings in the configuration nobody looks for them") {
  const Site site;
  site.write("a.txt.gz", "GZ");
  const Answered answer = get(*site.files(), "/a.txt", {{"Accept-Encoding", "gzip, identity;q=0"}});
  CHECK(answer.body == "a text\n");
  CHECK(answer.field("Vary").empty());
}

TEST_CASE("Cache-Control goes by the first pattern that matches the name or the path") {
  const Site site;
  site.write("assets/x.css", "x");
  site.write("assets/index.html", "x");
  app::StaticSettings settings = site.settings();
  settings.cache_control = {
      {"/assets/*.css", "immutable"}, {"*.css", "max-age=1"}, {"index.*", "no-cache"}, {"/a.tx?", "private"}};
  const auto files = Site::serve(std::move(settings));
  site.write("x.css", "x");
  site.write("b.txt", "x");
  CHECK(get(*files, "/assets/x.css").field("Cache-Control") == "immutable");
  CHECK(get(*files, "/x.css").field("Cache-Control") == "max-age=1");
  CHECK(get(*files, "/").field("Cache-Control") == "no-cache");
  CHECK(get(*files, "/assets/").field("Cache-Control") == "no-cache");
  CHECK(get(*files, "/a.txt").field("Cache-Control") == "private");
  CHECK(get(*files, "/b.txt").field("Cache-Control").empty());
  const std::string etag = get(*files, "/x.css").field("ETag");
  CHECK(get(*files, "/x.css", {{"If-None-Match", etag}}).field("Cache-Control") == "max-age=1");
  CHECK(get(*files, "/x.css", {{"Range", "bytes=0-0"}}).field("Cache-Control") == "max-age=1");
}

TEST_CASE("an error has the operator's page, the exact one before that of its class") {
  const Site site;
  site.write("errors/404.html", "not here\n");
  site.write("errors/4xx.txt", "your fault\n");
  app::StaticSettings settings = site.settings();
  settings.error_pages = {{"4xx", "errors/4xx.txt"}, {"404", "errors/404.html"}, {"403", "errors/none.html"}};
  const auto files = Site::serve(std::move(settings));
  const Answered missing = get(*files, "/none");
  CHECK(missing.status == 404);
  CHECK(missing.body == "not here\n");
  CHECK(missing.headers == "Content-Type: text/html; charset=utf-8\r\n");
  CHECK(get(*files, "/.hidden").body == "not here\n");
  const Answered method = get(*files, "/a.txt", {}, "POST");
  CHECK(method.status == 405);
  CHECK(method.body == "your fault\n");
  CHECK(method.field("Content-Type") == "text/plain; charset=utf-8");
  CHECK(method.field("Allow") == "GET, HEAD, OPTIONS");
  CHECK(get(*files, "/%").body == "your fault\n");
  CHECK(get(*files, "/a.txt", {{"If-Match", "\"x\""}}).body == "your fault\n");
  const Answered range = get(*files, "/a.txt", {{"Range", "bytes=100-"}});
  CHECK(range.status == 416);
  CHECK(range.body == "your fault\n");
  CHECK(range.field("Content-Range") == "bytes */7");
  const Answered forbidden = get(*files, "/errors/");
  CHECK(forbidden.status == 403);
  CHECK(forbidden.body.find("403 Forbidden") != std::string::npos);
  CHECK(get(*files, "/errors/404.html").status == 200);
}

TEST_CASE("a fallback stands for names that are not there, and for those alone") {
  const Site site;
  site.write("empty/x", "x");
  fs::create_symlink("../secret.txt", site.root() / "out");
  app::StaticSettings settings = site.settings();
  settings.fallback = "index.html";
  const auto files = Site::serve(settings);
  for (const std::string& target : {std::string("/none"), std::string("/none/"), std::string("/none/deeper?x=1"),
                                    std::string("/a.txt/x"), std::string("/a%2fb"), '/' + std::string(300, 'x')}) {
    INFO(target);
    const Answered answer = get(*files, target);
    CHECK(answer.status == 200);
    CHECK(answer.body == "index\n");
    CHECK(answer.field("Content-Type") == "text/html; charset=utf-8");
  }
  CHECK(get(*files, "/none", {{"If-None-Match", get(*files, "/").field("ETag")}}).status == 304);
  CHECK(get(*files, "/a.txt").body == "a text\n");
  CHECK(get(*files, "/empty/").status == 403);
  CHECK(get(*files, "/.git").status == 404);
  CHECK(get(*files, "/out").status == 404);
  CHECK(get(*files, "/%").status == 400);
  CHECK(get(*files, "/none", {}, "POST").status == 405);
  settings.fallback = "gone.html";
  CHECK(get(*Site::serve(settings), "/none").status == 404);
}

TEST_CASE("a directory without an index is listed when the operator wants it") {
  const Site site;
  site.write("sub/b.txt", "12345");
  site.write("sub/.hidden", "");
  fs::create_directory(site.root() / "sub" / "deeper");
  fs::create_symlink("b.txt", site.root() / "sub" / "link");
  fs::create_symlink("../../secret.txt", site.root() / "sub" / "out");
  fs::create_symlink("none", site.root() / "sub" / "dangling");
  REQUIRE(::mkfifo((site.root() / "sub" / "fifo").c_str(), 0644) == 0);
  app::StaticSettings settings = site.settings();
  settings.listing = true;
  const auto files = Site::serve(std::move(settings));
  const Answered answer = get(*files, "/sub/");
  CHECK(answer.status == 200);
  CHECK(answer.field("Content-Type") == "text/html; charset=utf-8");
  for (const char* shown : {R"("b.txt")", R"("deeper/")", R"("link")", R"("../")"})
    CHECK(answer.body.find(shown) != std::string::npos);
  for (const char* left_out : {"hidden", "\"out", "dangling", "fifo", "secret"})
    CHECK(answer.body.find(left_out) == std::string::npos);
  CHECK(get(*files, "/").body == "index\n");
  CHECK(get(*files, "/sub").status == 301);
  CHECK(get(*files, "/none/").status == 404);
}
