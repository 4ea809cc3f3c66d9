// The configurations that options of the command line stand for.
#include <catch2/catch.hpp>

#include <string>
#include <variant>
#include <vector>

#include "config/builder.hpp"
#include "config/check.hpp"
#include "os/execute.hpp"

namespace prong::config {

TEST_CASE("--static makes one pool of an absolute directory") {
  const Config config = for_static("/srv/../srv/html/");
  REQUIRE(config.pools.size() == 1);
  CHECK(config.pools[0].name == "static");
  CHECK(config.pools[0].listen.at(0).address == "127.0.0.1:8080");
  CHECK(std::get<StaticConfig>(config.pools[0].app).root == "/srv/html");
  CHECK(config.sources.empty());
  CHECK(std::get<StaticConfig>(for_static(".").pools[0].app).root.starts_with('/'));
  CHECK(for_static("/", "[::]:1").pools[0].listen.at(0).address == "[::]:1");
}

TEST_CASE("--wsgi makes one pool of an application in the working directory") {
  const Config config = for_wsgi({.app = "shop.wsgi:application"});
  REQUIRE(config.pools.size() == 1);
  const PoolConfig& pool = config.pools[0];
  CHECK(pool.name == "app");
  CHECK(pool.listen.at(0).address == "127.0.0.1:8080");
  CHECK(pool.concurrency == Concurrency::kThread);
  CHECK_FALSE(pool.workers);
  CHECK(pool.threads == default_threads());
  const auto& wsgi = std::get<WsgiConfig>(pool.app);
  CHECK(wsgi.app == "shop.wsgi:application");
  CHECK(wsgi.path == std::vector{os::working_directory()});
  CHECK(wsgi.chdir == os::working_directory());
  CHECK_FALSE(wsgi.reload);
  CHECK_FALSE(wsgi.debug_errors);
  CHECK(check(config).empty());
}

TEST_CASE("the options beside --wsgi are the pool's") {
  const Config config =
      for_wsgi({.app = "shop", .address = "[::]:1", .workers = 3, .threads = 7, .reload = true, .debug_errors = true});
  const PoolConfig& pool = config.pools.at(0);
  CHECK(pool.listen.at(0).address == "[::]:1");
  CHECK(pool.workers == 3U);
  CHECK(pool.threads == 7);
  CHECK(std::get<WsgiConfig>(pool.app).reload);
  CHECK(std::get<WsgiConfig>(pool.app).debug_errors);
}

TEST_CASE("what --wsgi gets wrong is told with the option's name") {
  const auto wrong = check(for_wsgi({.app = "shop wsgi"}));
  REQUIRE(wrong.size() == 1);
  CHECK(wrong.front().position.file == "--wsgi");
  CHECK(for_wsgi({.app = "shop"}).pools.at(0).listen.at(0).position.file == "--listen");
}

}  // namespace prong::config
