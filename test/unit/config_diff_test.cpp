// The lines of a reload's log.
#include <catch2/catch.hpp>

#include "config/diff.hpp"
#include "config/reader.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

// Compared with instead of empty(), so that a failure shows what there is.
Texts none() {
  return {};
}

Texts diff_of(const std::string& before, const std::string& after) {
  const Loaded a = load_text(before, "t.toml");
  const Loaded b = load_text(after, "t.toml");
  REQUIRE(a.diagnostics.empty());
  REQUIRE(b.diagnostics.empty());
  return diff(*a.config, *b.config);
}

std::string pool(const std::string& name, const std::string& keys = "",
                 const std::string& listen = "\"127.0.0.1:80\"") {
  return "[pool." + name + "]\nlisten = [" + listen + "]\nstatic.root = \"/srv\"\n" + keys + "\n";
}

}  // namespace

TEST_CASE("the same configuration has no differences, wherever it was written") {
  CHECK(diff_of(pool("a"), "\n\n" + pool("a")) == none());
  CHECK(diff_of(pool("a"), pool("a", "workers = \"auto\"\ngraceful_timeout = \"30000ms\"")) == none());
  CHECK(diff_of(pool("a") + pool("b", "", "\"x\""), pool("b", "", "\"x\"") + pool("a")) == none());
}

TEST_CASE("changed values are told with both values, each under its pool") {
  CHECK(diff_of(pool("shop", "workers = 4"), pool("shop", "workers = 8")) == Texts{"pool shop: workers 4 -> 8"});
  CHECK(diff_of(pool("shop"), pool("shop",
                                   "workers = 8\nuser = \"www\"\numask = \"077\"\nhttp.idle_timeout = \"5s\"\n"
                                   "rlimits.core = \"unlimited\"")) ==
        Texts{"pool shop: workers auto -> 8", "pool shop: user \"\" -> www", "pool shop: umask 0022 -> 0077",
              "pool shop: rlimits.core inherit -> unlimited", "pool shop: http.idle_timeout 1m15s -> 5s"});
  CHECK(diff_of(pool("a"), pool("a", "static.index = []")) == Texts{"pool a: static.index [\"index.html\"] -> []"});
}

TEST_CASE("pools come and go") {
  CHECK(diff_of(pool("a") + pool("old", "", "\"x\""), pool("files", "", "\"y\"") + pool("a", "workers = 1")) ==
        Texts{"pool files: added", "pool a: workers auto -> 1", "pool old: removed"});
}

TEST_CASE("listeners are compared by their address") {
  CHECK(diff_of(pool("a", "", "\"x\", \"y\""), pool("a", "", "\"z\", \"x\"")) ==
        Texts{"pool a: listen z added", "pool a: listen y removed"});
  CHECK(diff_of(pool("a", "", "\"x\""), pool("a", "", "{ address = \"x\", backlog = 5 }")) ==
        Texts{"pool a: listen x backlog 4096 -> 5"});
}

TEST_CASE("the log's changes stand under its table") {
  CHECK(diff_of(pool("a"), pool("a") + "[log]\nlevel = \"debug\"\ntarget = \"stderr\"\n") ==
        Texts{"log.target auto -> stderr", "log.level info -> debug"});
}

TEST_CASE("a change that only a restart can make says so") {
  CHECK(diff_of(pool("a", "", "\"x\""), pool("a", "", "{ address = \"x\", v6only = false }")) ==
        Texts{"pool a: listen x v6only true -> false (needs a restart)"});
}

}  // namespace prong::config
