// The parts of src/app/module that need no library: options, timers, what a descriptor of a module may be, decoding.
#include <catch2/catch.hpp>
#include <prong/module.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/module/exchange.hpp"
#include "app/module/library.hpp"
#include "app/module/options.hpp"
#include "app/module/streams.hpp"
#include "app/module/timers.hpp"

namespace prong::app::module {
namespace {

using namespace std::chrono_literals;

Settings with_options() {
  Settings settings;
  settings.path = "/srv/hello.so";
  settings.options.push_back({.name = "greeting", .value = std::string("hi"), .place = {"a.toml", 3, 9}});
  settings.options.push_back({.name = "limits.max", .value = std::int64_t{3}, .place = {"a.toml", 4, 2}});
  settings.options.push_back({.name = "peers[0]", .value = std::string("x"), .place = {"a.toml", 5, 2}});
  settings.lists.push_back({.name = "peers", .size = 1, .place = {"a.toml", 5, 1}});
  settings.lists.push_back({.name = "none", .size = 0, .place = {"a.toml", 6, 1}});
  return settings;
}

TEST_CASE("an option is found by its name, and one that was not written is not there", "[module]") {
  const Settings settings = with_options();
  Options options(settings);
  REQUIRE(options.find("limits.max") != nullptr);
  CHECK(std::get<std::int64_t>(options.find("limits.max")->value) == 3);
  CHECK(options.find("limits") == nullptr);
  REQUIRE(options.find_list("peers") != nullptr);
  CHECK(options.find_list("peers")->size == 1);
  CHECK(options.find_list("greeting") == nullptr);
}

TEST_CASE("what a module never asks for is told with its place, and with the name that was meant", "[module]") {
  const Settings settings = with_options();
  Options options(settings);
  (void)options.find("greetings");
  (void)options.find("limits.max");
  (void)options.find_list("peers");
  (void)options.find_list("none");
  const std::vector<std::string> unknown = options.unknown();
  REQUIRE(unknown.size() == 2);
  CHECK(unknown.at(0) == R"(a.toml:3:9: error: the module knows no option "greeting"; did you mean "greetings"?)");
  CHECK(unknown.at(1).starts_with(R"(a.toml:5:2: error: the module knows no option "peers[0]")"));
}

TEST_CASE("an empty list that a module never asks for is told", "[module]") {
  const Settings settings = with_options();
  Options options(settings);
  for (const char* name : {"greeting", "limits.max", "peers[0]"}) (void)options.find(name);
  REQUIRE(options.unknown().size() == 1);
  CHECK(options.unknown().front() == R"(a.toml:6:1: error: the module knows no option "none")");
}

TEST_CASE("a value where the module looks for a list is told, and so is a list where it looks for a value",
          "[module]") {
  Settings settings = with_options();
  settings.lists.push_back({.name = "table", .is_table = true, .place = {"a.toml", 7, 1}});
  Options options(settings);
  for (const char* name : {"limits.max", "peers[0]", "none"}) (void)options.find(name);
  CHECK(options.find_list("greeting") == nullptr);
  CHECK(options.find_list("table") == nullptr);
  CHECK(options.unknown() == std::vector<std::string>{R"(a.toml:3:9: error: the option "greeting" has to be a list)",
                                                      R"(a.toml:6:1: error: the option "none" has to be one value)",
                                                      R"(a.toml:7:1: error: the option "table" has to be a list)"});
  (void)options.find("greeting");  // it takes both
  CHECK(options.unknown().size() == 2);
}

TEST_CASE("of a start that has failed only those options are told that were meant for one that is missing",
          "[module]") {
  const Settings settings = with_options();
  Options options(settings);
  (void)options.find("limits.max");
  CHECK(options.misspelt().empty());
  (void)options.find("greetin");
  CHECK(
      options.misspelt() ==
      std::vector<std::string>{R"(a.toml:3:9: error: the module knows no option "greeting"; did you mean "greetin"?)"});
}

TEST_CASE("what waits to be sent leaves in pieces of any size and in its order", "[module]") {
  Outbox outbox;
  CHECK(outbox.empty());
  outbox.append("abcdef");
  CHECK(outbox.is_whole());
  outbox.drop(1);
  CHECK(outbox.text() == "bcdef");
  CHECK(!outbox.is_whole());
  outbox.append("gh");
  outbox.drop(4);
  CHECK(outbox.text() == "fgh");
  CHECK(outbox.size() == 3);
  CHECK(outbox.is_whole());
  outbox.drop(3);
  CHECK(outbox.empty());
  CHECK(outbox.is_whole());
  outbox.append("end");
  CHECK(outbox.take() == "end");
  CHECK(outbox.empty());
}

TEST_CASE("a refused option is told with its place if it was written", "[module]") {
  const Settings settings = with_options();
  Options options(settings);
  options.refuse("limits.max", "has to be less");
  options.refuse("peers", "has to be longer");
  options.refuse("absent", "has to be there");
  CHECK(options.refused() == std::vector<std::string>{R"(a.toml:4:2: error: the option "limits.max" has to be less)",
                                                      R"(a.toml:5:1: error: the option "peers" has to be longer)",
                                                      R"(error: the option "absent" has to be there)"});
}

TEST_CASE("timers come in the order of their times, once or again and again, and not when they were stopped",
          "[module]") {
  const os::TimePoint begin{};
  const auto nothing = [](void* /*context*/) {};
  int a = 0;
  int b = 0;
  int c = 0;
  Timers timers;
  CHECK(!timers.next());
  CHECK(timers.start(begin + 20ms, {.fire = nothing, .context = &a}).is_next);
  const auto stopped = timers.start(begin + 5ms, {.fire = nothing, .context = &b});
  CHECK(stopped.is_next);
  const auto repeated = timers.start(begin + 10ms, {.fire = nothing, .context = &c, .every = 10ms});
  CHECK(!repeated.is_next);
  CHECK(timers.next() == begin + 5ms);
  CHECK(timers.stop(stopped.number));
  CHECK(!timers.stop(stopped.number));
  CHECK(!timers.stop(0));
  CHECK(timers.next() == begin + 10ms);
  CHECK(!timers.take_due(begin + 9ms));
  CHECK(timers.take_due(begin + 10ms)->context == &c);
  CHECK(timers.next() == begin + 20ms);
  CHECK(timers.take_due(begin + 20ms)->context == &a);
  CHECK(timers.take_due(begin + 20ms)->context == &c);
  CHECK(!timers.take_due(begin + 20ms));
  // Far behind: it fires once, and not for each time that was missed.
  CHECK(timers.take_due(begin + 1s)->context == &c);
  CHECK(timers.next() == begin + 1s + 10ms);
  CHECK(timers.stop(repeated.number));
  CHECK(!timers.next());
}

prong_module minimal() {
  prong_module module{};
  module.size = sizeof module;
  module.abi = PRONG_ABI;
  module.request = [](void*, const prong_request*, prong_exchange*, void*) {};
  return module;
}

TEST_CASE("a module of a newer version, or with a larger size, is refused with both versions", "[module]") {
  prong_module newer = minimal();
  newer.abi = PRONG_ABI + 1;
  const auto refused = adopt(&newer, "/srv/a.so");
  REQUIRE(!refused);
  CHECK(refused.error().message == "module \"/srv/a.so\" was built for version " + std::to_string(PRONG_ABI + 1) +
                                       " of the module ABI (" + std::to_string(sizeof newer) +
                                       " bytes), and this prongd has version " + std::to_string(PRONG_ABI) + " (" +
                                       std::to_string(sizeof newer) + " bytes)");
  prong_module larger = minimal();
  larger.size = sizeof larger + 8;
  CHECK(!adopt(&larger, "/srv/a.so"));
}

TEST_CASE("what a smaller module does not know is not there, and what is no module is refused", "[module]") {
  prong_module older = minimal();
  older.size = offsetof(prong_module, open);
  older.open = [](void*, prong_connection*) {};  // behind its end: not its own
  const auto adopted = adopt(&older, "/srv/a.so");
  REQUIRE(adopted);
  CHECK(adopted->request != nullptr);
  CHECK(adopted->open == nullptr);
  prong_module none{};
  CHECK(!adopt(&none, "/srv/a.so"));
}

TEST_CASE("a module runs only where its callbacks and its models allow it", "[module]") {
  Settings settings{.path = "/srv/a.so"};
  prong_module http = minimal();
  CHECK(check_fit(http, settings));
  http.models = PRONG_PROCESS | PRONG_THREAD;
  CHECK(check_fit(http, settings).error().text() ==
        R"(module "/srv/a.so" does not run in concurrency = "event"; it says that it runs in "thread" or "process")");
  settings.model = Model::kThread;
  CHECK(check_fit(http, settings));
  settings.protocol = Protocol::kStream;
  CHECK(!check_fit(http, settings));

  prong_module stream{};
  stream.size = sizeof stream;
  stream.abi = PRONG_ABI;
  CHECK(!check_fit(stream, settings));
  stream.data = [](void*, prong_connection*, prong_text) {};
  CHECK(!check_fit(stream, settings));  // only for `event`
  settings.model = Model::kEvent;
  CHECK(check_fit(stream, settings));
  settings.protocol = Protocol::kHttp;
  CHECK(check_fit(stream, settings).error().text().contains("protocol = \"stream\""));
}

TEST_CASE("escapes are decoded, and what is none stays", "[module]") {
  CHECK(decoded("a%20b%2Fc", Plus::kIsPlus) == "a b/c");
  CHECK(decoded("a+b", Plus::kIsPlus) == "a+b");
  CHECK(decoded("a+b", Plus::kIsSpace) == "a b");
  CHECK(decoded("100%", Plus::kIsPlus) == "100%");
  CHECK(decoded("%4", Plus::kIsPlus) == "%4");
  CHECK(decoded("%zz%41", Plus::kIsPlus) == "%zzA");
  CHECK(decoded("%00", Plus::kIsPlus) == std::string(1, '\0'));
}

TEST_CASE("of several failures of a callback the first one is told", "[module]") {
  CHECK(!Callback::take_failure());
  Callback::fail("one");
  Callback::fail("two");
  CHECK(Callback::take_failure() == "one");
  CHECK_NOTHROW(Callback::check());
  Callback::fail("");
  CHECK_THROWS_WITH(Callback::check(), Catch::Contains("has failed"));
}

}  // namespace
}  // namespace prong::app::module
