// How names become files: on a real file system, asked as a session would ask.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "app_request.hpp"
#include "app_site.hpp"
#include "http/date.hpp"
#include "http/response.hpp"

using namespace prong;
using namespace prong::test;
namespace fs = std::filesystem;

namespace {

Answered get(const Site& site, std::string_view target) {
  return test::get(*site.files(), target);
}

}  // namespace

TEST_CASE("a file comes whole, with its type, its date and a tag") {
  const Site site;
  const Answered answer = get(site, "/a.txt");
  CHECK(answer.status == 200);
  CHECK(answer.body == "a text\n");
  CHECK(answer.field("Content-Type") == "text/plain; charset=utf-8");
  struct stat status{};
  REQUIRE(::stat((site.root() / "a.txt").c_str(), &status) == 0);
  CHECK(answer.field("Last-Modified") == http::format_date(status.st_mtime));
  CHECK(answer.field("ETag").size() > 10);
}

TEST_CASE("targets name files as RFC 3986 says") {
  const Site site;
  site.write("sub/index.html", "sub\n");
  site.write("with space", "space\n");
  site.write("\xc3\xa4.txt", "umlaut\n");
  site.write("100%.txt", "percent\n");
  site.write("back\\slash", "backslash\n");
  site.write("empty", "");
  site.write(".well-known/x", "known\n");
  fs::create_symlink("a.txt", site.root() / "inside");
  fs::create_symlink("sub", site.root() / "subdir");
  fs::create_symlink("../sub/../a.txt", site.root() / "sub" / "roundabout");
  fs::create_symlink(site.root() / "a.txt", site.root() / "absolute");
  struct Row {
    const char *target, *body;
  };
  for (const Row& row : {Row{"/", "index\n"},
                         {"/?x", "index\n"},
                         {"/a.txt?x=/../y", "a text\n"},
                         {"//a.txt", "a text\n"},
                         {"/./a.txt", "a text\n"},
                         {"/none/../a.txt", "a text\n"},
                         {"/sub/", "sub\n"},
                         {"/sub/.", "sub\n"},
                         {"/sub//", "sub\n"},
                         {"/sub/x/..", "sub\n"},
                         {"/with%20space", "space\n"},
                         {"/%C3%A4.txt", "umlaut\n"},
                         {"/100%25.txt", "percent\n"},
                         {"/back%5cslash", "backslash\n"},
                         {"/empty", ""},
                         {"/.well-known/x", "known\n"},
                         {"/inside", "a text\n"},
                         {"/subdir/", "sub\n"},
                         {"/sub/roundabout", "a text\n"},
                         {"/absolute", "a text\n"}}) {
    INFO(row.target);
    const Answered answer = get(site, row.target);
    CHECK(answer.status == 200);
    CHECK(answer.body == row.body);
  }
}

TEST_CASE("no name leads out of the root") {
  const Site site;
  fs::create_symlink("../secret.txt", site.root() / "out");
  fs::create_symlink(site.folder() / "secret.txt", site.root() / "absolute");
  fs::create_symlink("..", site.root() / "up");
  fs::create_symlink("/proc/self/root", site.root() / "proc");
  fs::create_symlink("loop", site.root() / "loop");
  fs::create_symlink("nowhere", site.root() / "dangling");
  for (const char* target : {"/../secret.txt",
                             "/%2e%2e/secret.txt",
                             "/..%2fsecret.txt",
                             "/%2e%2e%2fsecret.txt",
                             "/x/../../secret.txt",
                             "/x/%2E%2e/%2e./secret.txt",
                             "/..\\secret.txt",
                             "/..%5csecret.txt",
                             "/out",
                             "/absolute",
                             "/up/secret.txt",
                             "/up/",
                             "/up",
                             "/proc/etc/passwd",
                             "/loop",
                             "/dangling",
                             "//../secret.txt",
                             "/a.txt%00",
                             "/%c0%ae%c0%ae/secret.txt",
                             "/%252e%252e/secret.txt",
                             "/..;/secret.txt"}) {
    INFO(target);
    const Answered answer = get(site, target);
    CHECK((answer.status == 400 || answer.status == 404));
    CHECK(answer.body.find("secret") == std::string::npos);
  }
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "/..";
  CHECK(get(site, deep + "/etc/passwd").status == 400);
}

TEST_CASE("what is not there, or not for everybody, is 404") {
  const Site site;
  site.write(".hidden", "x");
  site.write(".git/config", "x");
  for (const std::string& target :
       {std::string("/none"), std::string("/none/"), std::string("/a.txt/"), std::string("/a.txt/b"),
        std::string("/.hidden"), std::string("/.git/config"), std::string("/%2ehidden"), "/" + std::string(300, 'x'),
        "/" + std::string(5000, 'x')}) {
    INFO(target);
    CHECK(get(site, target).status == 404);
  }
}

TEST_CASE("only regular files are served, and nothing waits for a FIFO") {
  const Site site;
  REQUIRE(::mkfifo((site.root() / "fifo").c_str(), 0644) == 0);
  CHECK(get(site, "/fifo").status == 403);
  const os::UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = site.root() / "socket";
  REQUIRE(path.size() < sizeof address.sun_path);
  path.copy(&address.sun_path[0], path.size());
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(get(site, "/socket").status == 403);
}

TEST_CASE("a directory without its slash is sent there, by a path that keeps to this host") {
  const Site site;
  site.write("sub dir/evil.example/index.html", "x");
  site.write("evil.example/index.html", "x");
  const Answered answer = get(site, "/sub%20dir?a=b&c");
  CHECK(answer.status == 301);
  CHECK(answer.field("Location") == "/sub%20dir/?a=b&c");
  CHECK(get(site, "//evil.example").field("Location") == "/evil.example/");
  CHECK(get(site, "/x/..//evil.example").field("Location") == "/evil.example/");
}

TEST_CASE("a directory without an index is 403, and the names of indexes are tried in order") {
  const Site site;
  site.write("sub/second.htm", "second\n");
  CHECK(get(site, "/sub/").status == 403);
  app::StaticSettings settings = site.settings();
  settings.index = {"first.htm", "second.htm"};
  const auto files = Site::serve(std::move(settings));
  CHECK(get(*files, "/sub/").body == "second\n");
  CHECK(get(*files, "/sub/").field("Content-Type") == "text/html; charset=utf-8");
  fs::create_directory(site.root() / "sub" / "first.htm");
  CHECK(get(*files, "/sub/").body == "second\n");
  CHECK(get(*files, "/").status == 403);
  site.write("first.htm", "first\n");
  site.write("second.htm", "second\n");
  CHECK(get(*files, "/").body == "first\n");
}

TEST_CASE("a file that may not be read is 403") {
  if (::geteuid() == 0) {
    WARN("skipped: root may read everything");
    return;
  }
  const Site site;
  fs::permissions(site.root() / "a.txt", fs::perms::none);
  CHECK(get(site, "/a.txt").status == 403);
}

TEST_CASE("HEAD says what GET would") {
  const Site site;
  const auto files = site.files();
  const http::Response head = ask(*files, "/a.txt", "HEAD", {});
  CHECK(head.status == 200);
  CHECK(http::body_size(head) == 7);
  const std::string fields(head.headers.text());  // lent until the next request
  CHECK(fields == get(*files, "/a.txt").headers);
}

TEST_CASE("other methods are 405 and told what is allowed, which OPTIONS asks") {
  const Site site;
  const auto files = site.files();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "TRACE", "get", ""}) {
    const Answered answer = get(*files, "/a.txt", {}, method);
    CHECK(answer.status == 405);
    CHECK(answer.field("Allow") == "GET, HEAD, OPTIONS");
  }
  for (const char* target : {"/a.txt", "/none", "*"}) {
    const Answered answer = get(*files, target, {}, "OPTIONS");
    CHECK(answer.status == 204);
    CHECK(answer.field("Allow") == "GET, HEAD, OPTIONS");
  }
}

TEST_CASE("a file from the future was modified now") {
  const Site site;
  site.set_age("a.txt", -100'000);
  const std::time_t now = std::time(nullptr);
  const auto said = http::parse_date(get(site, "/a.txt").field("Last-Modified"), now);
  REQUIRE(said.has_value());
  CHECK(*said - now <= 1);
}

TEST_CASE("a file of more than 4 GiB keeps its size") {
  const Site site;
  site.write("large", "");
  fs::resize_file(site.root() / "large", std::uintmax_t{5} << 30U);
  const auto files = site.files();
  const http::Response response = ask(*files, "/large", "GET", {});
  REQUIRE(std::holds_alternative<http::FileBody>(response.body));
  CHECK(std::get<http::FileBody>(response.body).size == std::uint64_t{5} << 30U);
  const Answered end = get(*files, "/large", {{"Range", "bytes=5368709119-"}});
  CHECK(end.status == 206);
  CHECK(end.field("Content-Range") == "bytes 5368709119-5368709119/5368709120");
  CHECK(end.body == std::string(1, '\0'));
}

TEST_CASE("when descriptors run out a file is 503, and comes again later") {
  const Site site;
  const auto files = site.files();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const os::UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(next.get()), .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  const Answered answer = get(*files, "/a.txt");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(answer.status == 503);
  CHECK(answer.field("Retry-After") == "1");
  CHECK(get(*files, "/a.txt").status == 200);
}

TEST_CASE("which links are followed is the operator's choice") {
  const Site site;
  site.write("sub/b.txt", "b text\n");
  fs::create_symlink("sub", site.root() / "relative");
  fs::create_symlink(site.root() / "sub" / "b.txt", site.root() / "absolute");
  fs::create_symlink("../secret.txt", site.root() / "out");
  const auto statuses = [&](os::Links links) {
    app::StaticSettings settings = site.settings();
    settings.links = links;
    const auto files = Site::serve(std::move(settings));
    std::string text;
    for (const char* target : {"/a.txt", "/sub/b.txt", "/relative/b.txt", "/absolute", "/out"})
      text += std::to_string(get(*files, target).status) + ' ';
    CHECK(get(*files, "/../secret.txt").status == 400);
    return text;
  };
  CHECK(statuses(os::Links::kNone) == "200 200 404 404 404 ");
  CHECK(statuses(os::Links::kBeneath) == "200 200 200 200 404 ");
  CHECK(statuses(os::Links::kAnywhere) == "200 200 200 200 200 ");
}

TEST_CASE("a root that is none is an error that names it") {
  for (const char* root : {"/nonexistent/prongd", "/dev/null"}) {
    const auto files = app::StaticFiles::create({.root = root, .mime_types = {}});
    REQUIRE_FALSE(files.has_value());
    CHECK(files.error().message.find(root) != std::string::npos);
  }
}

TEST_CASE("the name of an open file can be told, also when it is gone") {
  const Site site;
  const os::UniqueFd file(::open((site.root() / "a.txt").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK(os::file_path(file.get()).value() == (site.root() / "a.txt").string());
  fs::remove(site.root() / "a.txt");
  CHECK(os::file_path(file.get()).value() == (site.root() / "a.txt").string() + " (deleted)");
  CHECK_FALSE(os::file_path(-1).has_value());
}
