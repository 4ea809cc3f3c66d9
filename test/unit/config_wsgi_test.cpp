// What the reader and the check make of pools that run a Python application.
#include <catch2/catch.hpp>

#include <string>
#include <variant>
#include <vector>

#include "config/check.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "config_folder.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

Loaded load_pool(const std::string& text) {
  return load_text("[pool.a]\nlisten = [\"x\"]\n" + text, "/srv/t.toml");
}

Texts found_in(const std::string& text) {
  const Loaded loaded = load_pool(text);
  REQUIRE(loaded.diagnostics.empty());
  Texts texts;
  for (const Diagnostic& diagnostic : check(*loaded.config)) texts.push_back(to_text(diagnostic));
  return texts;
}

}  // namespace

TEST_CASE("a wsgi pool runs on threads unless it says otherwise, and relative folders start at the file") {
  const Loaded loaded = load_pool(R"(wsgi = { app = "a", path = ["shop", "/opt"], venv = ".venv" })");
  REQUIRE(loaded.diagnostics.empty());
  const PoolConfig& pool = loaded.config->pools.front();
  CHECK(pool.concurrency == Concurrency::kThread);
  const auto& wsgi = std::get<WsgiConfig>(pool.app);
  CHECK(wsgi.path == Texts{"/srv/shop", "/opt"});
  CHECK(wsgi.venv == "/srv/.venv");
  CHECK(wsgi.chdir.empty());
  CHECK(load_pool("concurrency = \"event\"\nwsgi = { app = \"a\" }").config->pools.front().concurrency ==
        Concurrency::kEvent);
  CHECK(load_pool("respond = {}").config->pools.front().concurrency == Concurrency::kEvent);
}

TEST_CASE("what crosses the exec is the same pool again") {
  const Loaded loaded = load_pool(
      "static_map = { \"/s/\" = \"/srv\" }\npath_prefix = \"/p\"\nwsgi = { app = \"a:b\", env = { X = \"1\\n\\u0001\" "
      "} }");
  REQUIRE(loaded.diagnostics.empty());
  const std::string text = to_toml(*loaded.config);
  const Loaded again = load_text(text, "the master's");
  REQUIRE(again.diagnostics.empty());
  CHECK(to_toml(*again.config) == text);
}

TEST_CASE("names of applications") {
  for (const char* good : {"a", "a:b", "a.b.c:d", "a:b.c", "a:make()", "a:b.make()", "\xc3\xa9t\xc3\xa9:x"}) {
    CAPTURE(good);
    CHECK(found_in(std::string("wsgi = { app = \"") + good + "\" }").empty());
  }
  for (const char* bad : {":b", "a:", "a b:c", "a:b(1)", "a:b()()", "a..b:c", "1a:b", "a-b:c", "a:b:c", "a/b.py"}) {
    CAPTURE(bad);
    const Texts found = found_in(std::string("wsgi = { app = \"") + bad + "\" }");
    REQUIRE(found.size() == 1);
    CHECK(found.front().starts_with("/srv/t.toml:3:16: error: pool.a.wsgi.app = "));
  }
}

TEST_CASE("folders that are not there, two interpreters, and no names of variables are told at their places") {
  CHECK(found_in(R"(wsgi = { app = "a", path = ["/", "/no/such"] })") ==
        Texts{"/srv/t.toml:3:34: error: pool.a.wsgi.path[1]: \"/no/such\": No such file or directory; write a folder "
              "that is there"});
  const Texts both = found_in(R"(wsgi = { app = "a", venv = "/", python = "/bin/x" })");
  REQUIRE(both.size() == 1);
  CHECK(both.front().find("are both given") != std::string::npos);
  const Texts name = found_in(R"(wsgi = { app = "a", env = { "A=B" = "" } })");
  REQUIRE(name.size() == 1);
  CHECK(name.front().find("is no name of a variable") != std::string::npos);
}

}  // namespace prong::config
