// What the check finds on this system in a configuration that reads well.
#include <catch2/catch.hpp>
#include <unistd.h>

#include <string>
#include <variant>
#include <vector>

#include "config/builder.hpp"
#include "config/check.hpp"
#include "config/reader.hpp"
#include "config_folder.hpp"
#include "os/users.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

// Compared with instead of empty(), so that a failure shows what there is.
Texts none() {
  return {};
}

Texts found_in(const Config& config) {
  Texts texts;
  for (const Diagnostic& diagnostic : check(config)) texts.push_back(to_text(diagnostic));
  return texts;
}

Texts found_in(const std::string& text) {
  const Loaded loaded = load_text(text, "t.toml");
  REQUIRE(loaded.diagnostics.empty());
  return found_in(*loaded.config);
}

}  // namespace

TEST_CASE("a configuration that fits the system has nothing to tell") {
  CHECK(found_in(
            "[log]\ntarget = \"/tmp/x.log\"\n[pool.a]\nlisten = [\"x\", { address = \"y\", owner = \"root\", group = "
            "\"0\" }]\nstatic.root = \"/\"\n") == none());
}

TEST_CASE("a root that is no directory is told with the reason") {
  const test::Folder folder;
  const std::string file = folder.write("file", "");
  CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nstatic.root = \"" + folder.path("gone") + "\"") ==
        Texts{"t.toml:3:15: error: cannot serve \"" + folder.path("gone") + "\": No such file or directory"});
  CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nstatic.root = \"" + file + "\"") ==
        Texts{"t.toml:3:15: error: cannot serve \"" + file + "\": Not a directory"});
  CHECK(found_in(for_static(folder.path("gone"))) ==
        Texts{"--static: error: cannot serve \"" + folder.path("gone") + "\": No such file or directory"});
}

TEST_CASE("an index file with a slash is told") {
  CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nstatic = { root = \"/\", index = [\"a\", \"b/c\"] }") ==
        Texts{"t.toml:3:38: error: index file \"b/c\" has a slash; write the name of a file; it is looked for in each "
              "directory"});
}

TEST_CASE("files that are to be read must be there if they were written") {
  const test::Folder folder;
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\n";
  CHECK(found_in(pool + "static = { root = \"/\", mime_types = \"" + folder.path("gone") + "\" }") ==
        Texts{"t.toml:3:37: error: cannot read \"" + folder.path("gone") + "\": No such file or directory"});
  CHECK(found_in(pool + "static = { root = \"/\", mime_types = \"/\" }") ==
        Texts{"t.toml:3:37: error: cannot read \"/\": it is no file"});
  CHECK(found_in(pool + "static = { root = \"/\", mime_types = \"" + folder.write("types", "") + "\" }") == none());
  Config config = for_static("/");
  std::get<StaticConfig>(config.pools[0].app).mime_types = folder.path("gone");
  CHECK(found_in(config) == none());
}

TEST_CASE("names that are to be files of the root are told when they cannot be") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\n";
  const std::string hint = R"(; write it relative to the root, without "..", for example "errors/404.html")";
  const auto with_fallback = [&](std::string_view name) {
    std::string text = pool;
    return found_in(text.append(R"(static = { root = "/", fallback = ")").append(name).append("\" }"));
  };
  CHECK(found_in(pool + "static = { root = \"/\", fallback = \"/index.html\" }") ==
        Texts{"t.toml:3:35: error: the fallback \"/index.html\" is no file of the root" + hint});
  for (const char* name : {"..", "../a", "a/../b", "a/..", "./a", ".", "a//b", "a/", "/"})
    CHECK(with_fallback(name).size() == 1);
  for (const char* name : {"", "a", "a/b.html", ".a", "..a", "a..", "a/..b"}) CHECK(with_fallback(name) == none());
  CHECK(found_in(
            pool +
            "static.root = \"/\"\nstatic.error_pages = { 404 = \"a.html\", 4xx = \"b\", 5xx = \"c\", 599 = \"d\" }") ==
        none());
  CHECK(found_in(pool + "static.root = \"/\"\nstatic.error_pages = { 404 = \"/a.html\", 503 = \"\" }") ==
        Texts{"t.toml:4:30: error: the error page \"/a.html\" is no file of the root" + hint,
              "t.toml:4:47: error: the error page \"\" is no file of the root" + hint});
}

TEST_CASE("an error page for what is no error is told") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"\n";
  CHECK(
      found_in(pool + "static.error_pages = { 200 = \"a\" }") ==
      Texts{"t.toml:4:30: error: \"200\" is no status of an error; write a number from \"400\" to \"599\", \"4xx\" or "
            "\"5xx\""});
  for (const char* key : {"399", "600", "4XX", "3xx", "40x", "4x4", "4", "4044", "\"\"", "\" 404\"", "xx"})
    CHECK(found_in(std::string(pool).append("static.error_pages = { ").append(key).append(" = \"a\" }")).size() == 1);
}

TEST_CASE("codings that are not known, or stand there twice, are told") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"\n";
  CHECK(found_in(pool + "static.precompressed = [\"zstd\", \"gzip\", \"br\"]") == none());
  CHECK(
      found_in(pool + "static.precompressed = [\"gz\", \"br\", \"br\"]") ==
      Texts{"t.toml:4:25: error: the coding \"gz\" is not known; write \"br\" for files that end in .br, \"zstd\" for "
            ".zst, \"gzip\" for .gz",
            "t.toml:4:37: error: the coding \"br\" stands there twice"});
}

TEST_CASE("a Cache-Control that is none is told") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"\n";
  CHECK(found_in(pool + R"(static.cache_control = { "*.css" = "max-age=1, public", "*" = "no-cache" })") == none());
  CHECK(found_in(pool + R"(static.cache_control = { "" = "no-cache", "*.js" = "", "*" = " no-cache" })").size() == 3);
  CHECK(found_in(pool + R"(static.cache_control = { "*.js" = "" })") ==
        Texts{"t.toml:4:35: error: Cache-Control cannot be \"\"; write for example \"no-cache\""});
  CHECK(found_in(pool + R"(static.default_type = " text/plain")") ==
        Texts{"t.toml:4:23: error: the type \" text/plain\" has spaces around it"});
}

TEST_CASE("headers of a constant answer that are none, or that prongd writes itself, are told") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\n";
  CHECK(found_in(pool + R"(respond = { headers = { "X-A" = "", "x!#$%&'*+-.^_`|~9" = "\u00e4 b", Allow = "GET" } })") ==
        none());
  CHECK(found_in(pool + R"(respond = { headers = { "A B" = "c", "" = "d", "\u00e4" = "e", "f\ng" = "" } })").size() ==
        4);
  CHECK(found_in(pool + "[pool.a.respond.headers]\n\"A:\" = \"b\"\ndATE = \"c\"\nOk = \"d \"\n") ==
        Texts{"t.toml:4:8: error: \"A:\" is no name of a header; write letters, digits and dashes",
              "t.toml:5:8: error: the header \"dATE\" is written by prongd itself; leave it out",
              "t.toml:6:6: error: the value of the header \"Ok\" cannot be \"d \"; leave out the spaces around it"});
  for (const char* name : {"Connection", "content-length", "SERVER", "Transfer-Encoding"})
    CHECK(found_in(std::string(pool).append("respond.headers = { ").append(name).append(" = \"x\" }")).size() == 1);
}

TEST_CASE("a header's value with a control character is refused by the reader") {
  for (const char* value : {R"("a\rb")", R"("a\nb")", R"("a\u0000b")", R"("a\tb")", R"("\u007f")"})
    CHECK(load_text("[pool.a]\nlisten = [\"x\"]\nrespond.headers = { A = " + std::string{value} + " }", "t.toml")
              .diagnostics.size() == 1);
}

TEST_CASE("a body for a status that has none is told") {
  for (const char* status : {"204", "205", "304"}) {
    CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nrespond = { status = " + std::string{status} + ", body = \"b\" }") ==
          Texts{"t.toml:3:34: error: pool.a.respond.body is given, and an answer with status " + std::string{status} +
                " has none; leave it out, or choose another status"});
    CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nrespond = { status = " + std::string{status} + " }") == none());
  }
  CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nrespond = { status = 503, body = \"b\" }") == none());
}

TEST_CASE("a key that the pool's concurrency does not use is told") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\nrespond = {}\n";
  CHECK(found_in(pool + "concurrency = \"thread\"\nthreads = 8\nrequest_timeout = \"5s\"") == none());
  CHECK(found_in(pool + "concurrency = \"process\"\nrequest_timeout = \"0\"") == none());
  CHECK(found_in(pool + "concurrency = \"process\"\nthreads = 8") ==
        Texts{"t.toml:5:11: error: pool.a.threads has no meaning with concurrency = \"process\"; write concurrency = "
              "\"thread\", or leave the key out"});
  CHECK(found_in(pool + "request_timeout = \"5s\"") == none());
}

TEST_CASE("limits of a protocol that the pool does not speak are told") {
  const std::string echo = "[pool.a]\nlisten = [\"x\"]\necho = {}\n";
  CHECK(found_in(echo) == none());
  CHECK(found_in(echo + "stream = { idle_timeout = \"0\", buffer = \"1KiB\" }") == none());
  CHECK(found_in(echo + "http = { idle_timeout = \"3s\" }\n[pool.a.access_log]\npath = \"/tmp/a.log\"\n") ==
        Texts{"t.toml:4:8: error: pool.a.http has no meaning here: the pool speaks no HTTP; leave it out",
              "t.toml:5:1: error: pool.a.access_log has no meaning here: the pool speaks no HTTP; leave it out"});
  CHECK(found_in("[pool.a]\nlisten = [\"x\"]\nrespond = {}\nstream = {}") ==
        Texts{"t.toml:4:10: error: pool.a.stream has no meaning here: the pool speaks HTTP; leave it out"});
}

TEST_CASE("users and groups that do not exist are told where they were written") {
  CHECK(found_in("[pool.a]\nlisten = [{ address = \"unix:/x\", owner = \"nobody-1\", group = \"nobody-2\" }]\n"
                 "static.root = \"/\"\nuser = \"nobody-3\"\ngroup = \"nobody-4\"") ==
        Texts{"t.toml:2:42: error: there is no user \"nobody-1\"", "t.toml:2:62: error: there is no group \"nobody-2\"",
              "t.toml:4:8: error: there is no user \"nobody-3\"", "t.toml:5:9: error: there is no group \"nobody-4\""});
}

TEST_CASE("another user needs a master that runs as root") {
  const Texts found =
      found_in("[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"\nuser = \"nobody\"\ngroup = \"nogroup\"");
  if (geteuid() == 0) {
    CHECK(found == none());
  } else {
    CHECK(found ==
          Texts{"t.toml:4:8: error: pool.a.user = \"nobody\" needs a master that runs as root; start prongd as "
                "root, or leave the key out",
                "t.toml:5:9: error: pool.a.group = \"nogroup\" needs a master that runs as root; start prongd as "
                "root, or leave the key out"});
  }
}

TEST_CASE("what does nothing without another key is told") {
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\nrespond = {}\n";
  CHECK(found_in(pool + "max_requests_jitter = 5") ==
        Texts{"t.toml:4:23: error: pool.a.max_requests_jitter does nothing without max_requests; write max_requests "
              "too, or leave it out"});
  CHECK(found_in(pool + "max_lifetime_jitter = \"1m\"\nmemory_measure = \"pss\"\nmemory_grace = \"1s\"").size() == 3);
  CHECK(found_in(pool + "max_requests_jitter = 0\nmax_lifetime_jitter = \"0\"") == none());
  CHECK(found_in(pool + "max_requests = 10\nmax_requests_jitter = 5\nmax_lifetime = \"1h\"\nmax_lifetime_jitter = "
                        "\"1m\"\nmax_memory = \"1GiB\"\nmemory_measure = \"pss\"\nmemory_grace = \"1s\"") == none());
}

TEST_CASE("the folder of a log file must be there") {
  CHECK(found_in("[log]\ntarget = \"/no-such-folder/x.log\"\n[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"") ==
        Texts{"t.toml:2:10: error: cannot write \"/no-such-folder/x.log\": /no-such-folder: No such file or directory; "
              "make "
              "the folder, or choose another one"});
}

TEST_CASE("an address that is listened on twice is told at the second place, in a pool and across pools") {
  CHECK(found_in(
            "[pool.a]\nlisten = [\"x\", \"y\", \"x\"]\nstatic.root = \"/\"\n[pool.b]\nlisten = [\"y\"]\nstatic.root = "
            "\"/\"") == Texts{"t.toml:2:21: error: \"x\" is listened on twice; the first one is at t.toml:2:11",
                              "t.toml:5:11: error: \"y\" is listened on twice; the first one is at t.toml:2:16"});
}

TEST_CASE("what the reader has told is not told again") {
  const Loaded loaded = load_text("[pool.a]\nlisten = [\"\", 3, {}]\nstatic = { root = 5, index = [3] }", "t.toml");
  REQUIRE(loaded.config != nullptr);
  CHECK(loaded.diagnostics.size() == 5);
  CHECK(found_in(*loaded.config) == none());
}

TEST_CASE("users and groups are found by name and by number") {
  const auto root = os::find_user("root");
  REQUIRE(root.has_value());
  CHECK(root->uid == 0);
  CHECK(root->gid == 0);
  CHECK(root->name == "root");
  CHECK_FALSE(root->home.empty());
  CHECK(os::find_user("0")->name == "root");
  CHECK(os::find_user("4294967294").error().message == "there is no user \"4294967294\"");
  CHECK_FALSE(os::find_user("").has_value());
  CHECK_FALSE(os::find_user("-1").has_value());
  CHECK(os::find_group("root") == gid_t{0});
  CHECK(os::find_group("54321") == gid_t{54'321});
  CHECK_FALSE(os::find_group("4294967295").has_value());
  CHECK_FALSE(os::find_group("no such group").has_value());
}

TEST_CASE("a folder for an access log that is not there is told at its path") {
  const test::Folder folder;
  const std::string pool = "[pool.a]\nlisten = [\"x\"]\nstatic.root = \"/\"\naccess_log.path = ";
  CHECK(found_in(pool + "\"" + folder.path("a.log") + "\"") == none());
  CHECK(found_in(pool + "\"" + folder.path("gone/a.log") + "\"") ==
        Texts{"t.toml:4:19: error: cannot write \"" + folder.path("gone/a.log") + "\": " + folder.path("gone") +
              ": No such file or directory; make the folder, or choose another one"});
}

}  // namespace prong::config
