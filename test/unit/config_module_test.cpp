// What the reader and the check make of pools that run a module.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/check.hpp"
#include "config/diff.hpp"
#include "config/origin.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "config_folder.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

Texts texts_of(const std::vector<Diagnostic>& diagnostics) {
  Texts texts;
  texts.reserve(diagnostics.size());
  for (const Diagnostic& diagnostic : diagnostics) texts.push_back(to_text(diagnostic));
  return texts;
}

// Line 3 is the first of `text`.
Loaded load_pool(const std::string& text) {
  return load_text("[pool.a]\nlisten = [\"x\"]\n" + text, "/srv/t.toml");
}

ModuleConfig module_in(const std::string& text) {
  const Loaded loaded = load_pool(text);
  REQUIRE(texts_of(loaded.diagnostics).empty());
  return std::get<ModuleConfig>(loaded.config->pools.front().app);
}

// `options` is TOML source; column 37 of line 3 is its first character.
ModuleOptions options_in(const std::string& options) {
  return module_in("module = { path = \"m.so\", options = " + options + " }").options;
}

Texts errors_of(const std::string& options) {
  return texts_of(load_pool("module = { path = \"m.so\", options = " + options + " }").diagnostics);
}

// "name=value line:column", so that a failure shows all of it.
Texts shown(const ModuleOptions& options) {
  struct Text {
    std::string operator()(bool flag) const { return flag ? "bool true" : "bool false"; }
    std::string operator()(std::int64_t number) const { return "int " + std::to_string(number); }
    std::string operator()(double number) const { return "double " + std::to_string(number); }
    std::string operator()(const std::string& text) const { return "string " + text; }
  };
  Texts texts;
  for (const ModuleOption& entry : options.entries)
    texts.push_back(entry.name + " = " + std::visit(Text{}, entry.value) + " at " + to_text(entry.position));
  for (const ModuleOptionList& list : options.lists)
    texts.push_back(list.name + " has " + (list.is_table ? "no entries" : std::to_string(list.size)) + " at " +
                    to_text(list.position));
  return texts;
}

// `{ a = { a = { ... } } }`, so many in each other.
std::string nested(std::size_t number) {
  std::string text = "1";
  for (std::size_t i = 0; i < number; ++i) text = fmt::format(fmt::runtime(i % 2 == 0 ? "{{ a = {} }}" : "[{}]"), text);
  return number % 2 == 0 ? "{ a = " + text + " }" : text;
}

}  // namespace

TEST_CASE("a module has a path from the folder of the file, a protocol, and no options if none are written") {
  const ModuleConfig module = module_in(R"(module = { path = "lib/../hello.so" })");
  CHECK(module.path == "/srv/hello.so");
  CHECK(to_text(module.path_position) == "/srv/t.toml:3:19");
  CHECK(module.protocol == ModuleProtocol::kHttp);
  CHECK(module.options == ModuleOptions{});
  CHECK(module.options.toml == "{}");
  CHECK(module_in(R"(module = { path = "/a.so", protocol = "stream" })").protocol == ModuleProtocol::kStream);
  CHECK(options_in("{}") == ModuleOptions{});
  CHECK(texts_of(load_pool("module = {}").diagnostics) ==
        Texts{R"(/srv/t.toml:3:10: error: pool.a.module has no path; write path = "/usr/lib/prongd/hello.so")"});
  CHECK(texts_of(load_pool("module = { path = \"a\", protocol = \"htp\" }").diagnostics) ==
        Texts{R"(/srv/t.toml:3:35: error: pool.a.module.protocol = "htp" is not known; did you mean "http"? it can be )"
              R"("http" or "stream")"});
}

TEST_CASE("options are scalars with the names by which they stand in tables and lists, in the order of the file") {
  const ModuleOptions options = module_in(R"([pool.a.module]
path = "m.so"
[pool.a.module.options]
z = "hi"
limits = { max = 3, "low" = -0.5 }
on = true
peers = ["a",
  'b']
none = []
table = {}
backends = [{ host = "h", ports = [80, [81]] }, {}]
off.x = false
)")
                                    .options;
  CHECK(shown(options) == Texts{
                              "z = string hi at /srv/t.toml:6:5",
                              "limits.max = int 3 at /srv/t.toml:7:18",
                              "limits.low = double -0.500000 at /srv/t.toml:7:29",
                              "on = bool true at /srv/t.toml:8:6",
                              "peers[0] = string a at /srv/t.toml:9:10",
                              "peers[1] = string b at /srv/t.toml:10:3",
                              "backends[0].host = string h at /srv/t.toml:13:22",
                              "backends[0].ports[0] = int 80 at /srv/t.toml:13:36",
                              "backends[0].ports[1][0] = int 81 at /srv/t.toml:13:41",
                              "off.x = bool false at /srv/t.toml:14:9",
                              "peers has 2 at /srv/t.toml:9:9",
                              "none has 0 at /srv/t.toml:11:8",
                              "table has no entries at /srv/t.toml:12:9",
                              "backends has 2 at /srv/t.toml:13:12",
                              "backends[0].ports has 2 at /srv/t.toml:13:35",
                              "backends[0].ports[1] has 1 at /srv/t.toml:13:40",
                              "backends[1] has no entries at /srv/t.toml:13:49",
                          });
  CHECK(options.toml ==
        R"({ z = "hi", limits = { max = 3, low = -0.5 }, on = true, peers = ["a", "b"], none = [], table = {}, )"
        R"(backends = [{ host = "h", ports = [80, [81]] }, {}], off = { x = false } })");
}

TEST_CASE("options with headers of their own are the same options") {
  const ModuleConfig module = module_in(R"([pool.a.module]
path = "m.so"
[pool.a.module.options]
greeting = """
a
b"""
[[pool.a.module.options.peers]]
host = "x"
[[pool.a.module.options.peers]]
host = "y"
[pool.a.module.options.limits]
max = 0x10
)");
  CHECK(module.options.toml ==
        R"({ greeting = "a\u000Ab", peers = [{ host = "x" }, { host = "y" }], limits = { max = 16 } })");
}

TEST_CASE("what is printed of options loads back to the same options, in the same order") {
  const auto* const source = GENERATE(
      "{}", R"({ b = 1, a = { d = [], c = {} }, "-" = "ä \u0001 \" \\ \n", 1 = [[[]], [{ x = 1 }]] })",
      "{ a = 1.0, b = -0.0, c = 1e300, d = 0.1, e = inf, f = -inf, g = nan, h = 123456789.0, i = 5e-324, j = 1e22 }",
      "{ a = -9223372036854775808, b = 9223372036854775807, c = 1_000, d = 0o17 }");
  const ModuleOptions options = options_in(source);
  const Loaded loaded = load_pool(std::string{"module = { path = \"m.so\", options = "} + source + " }");
  const std::string text = to_toml(*loaded.config);
  CAPTURE(text);
  const Loaded again = load_text(text, "again");
  CHECK(texts_of(again.diagnostics).empty());
  const ModuleOptions& same = std::get<ModuleConfig>(again.config->pools.front().app).options;
  CHECK(same.toml == options.toml);
  CHECK(to_toml(*again.config) == text);
  CHECK(diff(*loaded.config, *again.config).empty());
  REQUIRE(same.entries.size() == options.entries.size());
  for (std::size_t i = 0; i < same.entries.size(); ++i) {
    CHECK(same.entries[i].name == options.entries[i].name);
    REQUIRE(same.entries[i].value.index() == options.entries[i].value.index());
    const auto* const number = std::get_if<double>(&options.entries[i].value);
    if (number == nullptr || !std::isnan(*number)) CHECK(same.entries[i].value == options.entries[i].value);
  }
}

TEST_CASE("a key of options that names could not be made of is told at its place") {
  constexpr std::string_view kHint =
      "use ASCII letters, digits, _ and -: dots and brackets are how names in tables and lists are written";
  for (const char* const key : {"a.b", "a[0]", "", "a b", "ä"}) {
    CAPTURE(key);
    const Texts found = errors_of("{ t = { \"" + std::string{key} + "\" = 1 } }");
    REQUIRE(found.size() == 1);
    CHECK(found.front().starts_with("/srv/t.toml:3:"));
    CHECK(found.front().contains(" is no name for an option of pool.a.module.options; " + std::string{kHint}));
  }
}

TEST_CASE("values that a module could not be given are told at their places") {
  CHECK(errors_of("3") ==
        Texts{"/srv/t.toml:3:37: error: pool.a.module.options cannot be a whole number; write a table of booleans, "
              "numbers, strings, lists and tables"});
  CHECK(errors_of("{ a = [1, 2020-01-02], b = { c = 10:11:12 }, d = 2020-01-02T03:04:05Z }") ==
        Texts{"/srv/t.toml:3:47: error: pool.a.module.options.a[1] cannot be a date; write a string",
              "/srv/t.toml:3:70: error: pool.a.module.options.b.c cannot be a time; write a string",
              "/srv/t.toml:3:86: error: pool.a.module.options.d cannot be a date and time; write a string"});
  CHECK(errors_of(R"({ a = "b\u0000" })") ==
        Texts{"/srv/t.toml:3:43: error: pool.a.module.options.a has a NUL byte; write text without one"});
}

TEST_CASE("tables and lists in each other are bounded, so that what is printed can be read") {
  for (const std::size_t number : {std::size_t{15}, std::size_t{16}}) {
    const Loaded loaded = load_pool("module = { path = \"m.so\", options = " + nested(number - 1) + " }");
    CHECK(texts_of(loaded.diagnostics).empty());
    CHECK(texts_of(load_text(to_toml(*loaded.config), "again").diagnostics).empty());
  }
  const Texts found = errors_of(nested(18));
  REQUIRE(found.size() == 1);
  CHECK(found.front().ends_with("is nested too deeply; write at most 16 tables and lists in each other"));
  // Dotted keys within brackets: deeper than what either bound of the parser says.
  std::string text = "1";
  for (int i = 0; i < 20; ++i) text = fmt::format("{{ a.b.c.d.e.f.g.h = {} }}", text);
  REQUIRE(errors_of(text).size() == 1);
  CHECK(errors_of(text).front().ends_with("is nested too deeply; write at most 16 tables and lists in each other"));
}

TEST_CASE("a changed option is a line of the reload's difference, and the options are one effective value") {
  const Loaded before = load_pool(R"(module = { path = "m.so", options = { a = 1, b = "x" } })");
  const Loaded after = load_pool(R"(module = { path = "m.so", options = { a = 2, b = "x" } })");
  CHECK(diff(*before.config, *before.config).empty());
  CHECK(diff(*before.config, *after.config) ==
        Texts{R"(pool a: module.options { a = 1, b = "x" } -> { a = 2, b = "x" })"});
  for (const EffectiveValue& value : effective_values(*after.config)) {
    if (value.name != "pool.a.module.options") continue;
    CHECK(value.value == R"({ a = 2, b = "x" })");
    CHECK(to_text(value.position) == "/srv/t.toml:3:37");
    return;
  }
  FAIL("no options");
}

TEST_CASE("a module that is no readable file is told where its path was written") {
  const test::Folder folder;
  const std::string good = folder.write("good.so", "");
  const auto found_in = [&](const std::string& path) {
    const std::string text = "[pool.a]\nlisten = [\"x\"]\nmodule = { path = \"" + path + "\" }";
    const Loaded loaded = load_text(text, folder.path("t.toml"));
    REQUIRE(loaded.diagnostics.empty());
    return texts_of(check(*loaded.config));
  };
  const auto error = [&](const std::string& path, const std::string& why) {
    return Texts{folder.path("t.toml") + ":3:19: error: cannot load \"" + path + "\": " + why +
                 "; write the path of the module's shared object, such as \"hello.so\""};
  };
  CHECK(found_in("good.so").empty());
  CHECK(found_in(good).empty());
  CHECK(found_in("bad.so") == error(folder.path("bad.so"), "No such file or directory"));
  CHECK(found_in(".") == error(folder.path(), "it is no file"));
  CHECK(found_in("good.so/x") == error(good + "/x", "Not a directory"));
}

TEST_CASE("a module says by its protocol which limits of its pool mean something") {
  const test::Folder folder;
  const std::string path = folder.write("m.so", "");
  const auto found_in = [&](const std::string& protocol, const std::string& more) {
    const Loaded loaded = load_pool("module = { path = \"" + path + "\", protocol = \"" + protocol + "\" }\n" + more);
    REQUIRE(loaded.diagnostics.empty());
    CHECK(runs_streams(loaded.config->pools.front().app) == (protocol == "stream"));
    return texts_of(check(*loaded.config));
  };
  CHECK(found_in("http", "http = { max_body = \"1KiB\" }\nrequest_timeout = \"1s\"").empty());
  CHECK(found_in("stream", "stream = { max_output = \"2MiB\" }\nrequest_timeout = \"1s\"").empty());
  CHECK(found_in("stream", "http = {}").size() == 1);
  CHECK(found_in("http", "stream = { max_output = \"2MiB\" }").size() == 1);
}

}  // namespace prong::config
