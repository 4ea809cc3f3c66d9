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

TEST_CASE("--module makes one pool that is named after the file") {
  const Loaded loaded = for_module({.path = "lib/libhello.so"});
  CHECK(loaded.diagnostics.empty());
  REQUIRE(loaded.config->pools.size() == 1);
  const PoolConfig& pool = loaded.config->pools[0];
  CHECK(pool.name == "hello");
  CHECK(pool.listen.at(0).address == "127.0.0.1:8080");
  CHECK(pool.concurrency == Concurrency::kEvent);
  CHECK_FALSE(pool.workers);
  const auto& module = std::get<ModuleConfig>(pool.app);
  CHECK(module.path == os::working_directory() + "/lib/libhello.so");
  CHECK(module.protocol == ModuleProtocol::kHttp);
  CHECK(module.options == ModuleOptions{});
  const auto wrong = check(*loaded.config);
  REQUIRE(wrong.size() == 1);
  CHECK(wrong.front().position.file == "--module");
}

TEST_CASE("the pool of --module has a good name, whatever the file is called") {
  const auto [path, name] = GENERATE(table<std::string, std::string>({
      {"hello.so", "hello"},
      {"/usr/lib/libhello.so.1.2", "hello"},
      {"my app+.so", "my_app_"},
      {"lib.so", "lib"},
      {".so", "_so"},
      {"\xc3\xa4.so", "__"},
      {"plain", "plain"},
      {"a.so.so", "a_so"},
      {"/", "module"},
      {std::string(100, 'x') + ".so", std::string(64, 'x')},
  }));
  CHECK(for_module({.path = path}).config->pools.at(0).name == name);
}

TEST_CASE("the options beside --module are the pool's and the module's") {
  const Loaded loaded = for_module({.path = "a.so",
                                    .address = "[::]:1",
                                    .protocol = ModuleProtocol::kStream,
                                    .options = {"b=1", "a.x=-2.5e3", "s=007", "d=2020-01-01", "i=inf", "h=0x10",
                                                "e=", "t=true", "big=99999999999999999999", "a.y=\"q\"\n"},
                                    .concurrency = Concurrency::kThread,
                                    .workers = 3,
                                    .threads = 7});
  CHECK(loaded.diagnostics.empty());
  const PoolConfig& pool = loaded.config->pools.at(0);
  CHECK(pool.listen.at(0).address == "[::]:1");
  CHECK(pool.concurrency == Concurrency::kThread);
  CHECK(pool.workers == 3U);
  CHECK(pool.threads == 7);
  const auto& module = std::get<ModuleConfig>(pool.app);
  CHECK(module.protocol == ModuleProtocol::kStream);
  CHECK(
      module.options.toml ==
      R"({ b = 1, a = { x = -2500.0, y = "\"q\"\u000A" }, s = "007", d = "2020-01-01", i = "inf", h = "0x10", e = "", )"
      R"(t = true, big = "99999999999999999999" })");
  CHECK(module.options.entries.at(0).position.file == "--option");
}

TEST_CASE("what options beside --module get wrong is told, and the others hold") {
  const Loaded loaded =
      for_module({.path = "a.so", .options = {"a", "=1", "a..b=1", "x=1", "x=2", "x.y=1", "n=\xff", "z=3"}});
  REQUIRE(loaded.diagnostics.size() == 6);
  CHECK(to_text(loaded.diagnostics[0]) == "--option: error: \"a\" has no value; write NAME=VALUE");
  for (const Diagnostic& diagnostic : loaded.diagnostics) CHECK(diagnostic.position.file == "--option");
  CHECK(std::get<ModuleConfig>(loaded.config->pools.at(0).app).options.toml == "{ x = 1, z = 3 }");
  std::string deep = "a";
  for (int i = 0; i < 100'000; ++i) deep += ".a";
  CHECK(for_module({.path = "a.so", .options = {deep + "=1"}}).diagnostics.size() == 1);
}

}  // namespace prong::config
