// Files on a real file system, asked for through a session as a client would.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/static_files.hpp"
#include "http/date.hpp"
#include "http/session.hpp"
#include "http_driver.hpp"

using namespace prong;
using namespace prong::test;
namespace fs = std::filesystem;

namespace {

// A folder with a secret beside the root, which no name may reach.
class Site {
 public:
  Site() {
    std::string name = (fs::temp_directory_path() / "prongd-static-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
    fs::create_directory(root());
    write("../secret.txt", "secret\n");
    write("a.txt", "a text\n");
    write("index.html", "index\n");
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  Site(Site&&) = delete;
  Site& operator=(Site&&) = delete;
  ~Site() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  [[nodiscard]] fs::path root() const { return folder_ / "root"; }
  [[nodiscard]] fs::path folder() const { return folder_; }
  void write(const std::string& name, std::string_view content) const {
    fs::create_directories((root() / name).parent_path());
    std::ofstream(root() / name, std::ios::binary) << content;
  }
  [[nodiscard]] std::unique_ptr<app::StaticFiles> files(std::vector<std::string> index = {"index.html"}) const {
    auto made = app::StaticFiles::create({.root = root(), .index = std::move(index)});
    REQUIRE(made.has_value());
    return std::move(*made);
  }

 private:
  fs::path folder_;
};

Answer ask(http::Handler& handler, std::string_view target, std::string_view method = "GET",
           std::string_view fields = "") {
  const http::Limits limits;
  http::Session session({.handler = &handler, .limits = &limits});
  const std::string request =
      std::string(method) + ' ' + std::string(target) + " HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n";
  const std::vector<Answer> answers = answers_in(converse(session, request), {std::string(method)});
  REQUIRE(answers.size() == 1);
  return answers[0];
}

Answer get(const Site& site, std::string_view target) {
  return ask(*site.files(), target);
}

}  // namespace

TEST_CASE("a file comes whole, with its type, its date and a tag") {
  const Site site;
  const Answer answer = get(site, "/a.txt");
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
                         {"http://elsewhere/a.txt", "a text\n"}}) {
    INFO(row.target);
    const Answer answer = get(site, row.target);
    CHECK(answer.status == 200);
    CHECK(answer.body == row.body);
  }
}

TEST_CASE("no name leads out of the root") {
  const Site site;
  fs::create_symlink("../secret.txt", site.root() / "out");
  fs::create_symlink(site.folder() / "secret.txt", site.root() / "absolute");
  fs::create_symlink(site.root() / "a.txt", site.root() / "absolute-inside");
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
                             "/absolute-inside",
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
    const Answer answer = get(site, target);
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
  const Answer answer = get(site, "/sub%20dir?a=b&c");
  CHECK(answer.status == 301);
  CHECK(answer.field("Location") == "/sub%20dir/?a=b&c");
  CHECK(get(site, "//evil.example").field("Location") == "/evil.example/");
  CHECK(get(site, "/x/..//evil.example").field("Location") == "/evil.example/");
}

TEST_CASE("a directory without an index is 403, and the names of indexes are tried in order") {
  const Site site;
  site.write("sub/second.htm", "second\n");
  CHECK(get(site, "/sub/").status == 403);
  const auto files = site.files({"first.htm", "second.htm"});
  CHECK(ask(*files, "/sub/").body == "second\n");
  CHECK(ask(*files, "/sub/").field("Content-Type") == "text/html; charset=utf-8");
  fs::create_directory(site.root() / "sub" / "first.htm");
  CHECK(ask(*files, "/sub/").body == "second\n");
  CHECK(ask(*files, "/").status == 403);
  site.write("first.htm", "first\n");
  site.write("second.htm", "second\n");
  CHECK(ask(*files, "/").body == "first\n");
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

TEST_CASE("HEAD says what GET would, without the body") {
  const Site site;
  const auto files = site.files();
  const Answer answer = ask(*files, "/a.txt", "HEAD");
  CHECK(answer.status == 200);
  CHECK(answer.field("Content-Length") == "7");
  CHECK(answer.field("ETag") == ask(*files, "/a.txt").field("ETag"));
}

TEST_CASE("other methods are 405 and told what is allowed") {
  const Site site;
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
    const Answer answer = ask(*site.files(), "/a.txt", method);
    CHECK(answer.status == 405);
    CHECK(answer.field("Allow") == "GET, HEAD");
  }
}

TEST_CASE("a client that has the file already gets 304") {
  const Site site;
  const auto files = site.files();
  const Answer first = ask(*files, "/a.txt");
  for (const std::string& condition : {"If-None-Match: " + first.field("ETag") + "\r\n",
                                       "If-Modified-Since: " + first.field("Last-Modified") + "\r\n"}) {
    const Answer answer = ask(*files, "/a.txt", "GET", condition);
    CHECK(answer.status == 304);
    CHECK(answer.field("ETag") == first.field("ETag"));
    CHECK(answer.body.empty());
  }
  CHECK(ask(*files, "/a.txt", "GET", "If-None-Match: \"other\"\r\n").status == 200);
  CHECK(ask(*files, "/a.txt", "GET", "If-Match: \"other\"\r\n").status == 412);
  site.write("b.txt", "b text\n");
  fs::rename(site.root() / "b.txt", site.root() / "a.txt");
  const Answer changed = ask(*files, "/a.txt", "GET", "If-None-Match: " + first.field("ETag") + "\r\n");
  CHECK(changed.status == 200);
  CHECK(changed.body == "b text\n");
}

TEST_CASE("a file from the future was modified now") {
  const Site site;
  const std::array<timespec, 2> times{
      {{.tv_sec = 4'000'000'000, .tv_nsec = 0}, {.tv_sec = 4'000'000'000, .tv_nsec = 0}}};
  REQUIRE(::utimensat(AT_FDCWD, (site.root() / "a.txt").c_str(), times.data(), 0) == 0);
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
  CHECK(ask(*files, "/large", "HEAD").field("Content-Length") == "5368709120");
  const http::Limits limits;
  http::Session session({.handler = files.get(), .limits = &limits});
  session.receive(bytes_of("GET /large HTTP/1.1\r\nHost: h\r\n\r\n"));
  session.output().consume(session.output().memory().size());
  REQUIRE(session.output().front_is_file());
  session.output().consume((std::uint64_t{5} << 30U) - 1);
  CHECK(session.output().file().offset == (std::uint64_t{5} << 30U) - 1);
  CHECK(take(session.output(), 10) == std::string(1, '\0'));
}

TEST_CASE("when descriptors run out a file is 503, and comes again later") {
  const Site site;
  const auto files = site.files();
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const os::UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const rlimit tight{.rlim_cur = static_cast<rlim_t>(next.get()), .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
  const Answer answer = ask(*files, "/a.txt");
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(answer.status == 503);
  CHECK(answer.field("Retry-After") == "1");
  CHECK(ask(*files, "/a.txt").status == 200);
}

TEST_CASE("a root that is none is an error that names it") {
  for (const char* root : {"/nonexistent/prongd", "/dev/null"}) {
    const auto files = app::StaticFiles::create({.root = root});
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
