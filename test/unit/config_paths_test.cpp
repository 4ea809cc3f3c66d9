// What the reader and the check find in the keys that share a pool's paths out.
#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "config/check.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "config_folder.hpp"

namespace prong::config {
namespace {

using Texts = std::vector<std::string>;

// Compared with instead of empty(), so that a failure shows what there is.
Texts none() {
  return {};
}

// Line 4 and on are the pool's own.
Texts found_in(const std::string& text, const std::string& app = "respond = {}") {
  const Loaded loaded = load_text("[pool.a]\nlisten = [\"x\"]\n" + app + "\n" + text, "t.toml");
  Texts texts;
  for (const Diagnostic& diagnostic : loaded.diagnostics) texts.push_back(to_text(diagnostic));
  if (texts.empty())
    for (const Diagnostic& diagnostic : check(*loaded.config)) texts.push_back(to_text(diagnostic));
  return texts;
}

}  // namespace

TEST_CASE("folders of a static_map are resolved against the folder of the file, and must be there") {
  const test::Folder folder;
  (void)folder.write("media/x", "");
  const std::string file =
      folder.write("t.toml",
                   "[pool.a]\nlisten = [\"x\"]\nrespond = {}\n"
                   "[pool.a.static_map]\n\"/media/\" = \"media\"\n\"/root\" = \"/\"\n\"/none/\" = \"no/such\"\n");
  const Loaded loaded = load_file(file);
  REQUIRE(loaded.diagnostics.empty());
  CHECK(loaded.config->pools.at(0).static_map ==
        NamedTexts{{"/media/", folder.path("media")}, {"/root", "/"}, {"/none/", folder.path("no/such")}});
  const auto found = check(*loaded.config);
  REQUIRE(found.size() == 1);
  CHECK(to_text(found.front()) == file + ":7:12: error: cannot serve \"" + folder.path("no/such") +
                                      "\": No such file or directory; make the folder, or choose another one");
}

TEST_CASE("a prefix of a static_map is one of whole parts, as it reads when it is decoded") {
  for (const char* good : {"/a", "/a/", "/a/b/c/", "/.well-known/acme-challenge", "/a b", "/\xc3\xa4", "/..."})
    CHECK(found_in("static_map = { \"" + std::string(good) + "\" = \"/\" }") == none());
  struct Row {
    const char *prefix, *message;
  };
  for (const Row& row : {Row{"a", R"(the prefix "a" does not begin with a slash)"},
                         {"", R"(the prefix "" does not begin with a slash)"},
                         {"/", R"(the prefix "/" leaves nothing to the application)"},
                         {"//", R"(the prefix "//" has an empty part, "." or "..")"},
                         {"/a//b", R"(the prefix "/a//b" has an empty part, "." or "..")"},
                         {"/a/../b", R"(the prefix "/a/../b" has an empty part, "." or "..")"},
                         {"/./", R"(the prefix "/./" has an empty part, "." or "..")"},
                         {"/a%20b", R"(the prefix "/a%20b" has "%")"},
                         {"/a?b", R"(the prefix "/a?b" has "?")"},
                         {"/a\\u0001", R"(the prefix "/a\u0001" has a control character)"}}) {
    const Texts found = found_in(R"(static_map = { ")" + std::string(row.prefix) + R"(" = "/" })");
    REQUIRE(found.size() == 1);
    CAPTURE(found.front());
    CHECK(found.front().starts_with("t.toml:4:"));
    CHECK(found.front().find(std::string("error: ") + row.message) != std::string::npos);
  }
}

TEST_CASE("one prefix in two spellings is told") {
  CHECK(found_in("[pool.a.static_map]\n\"/a\" = \"/\"\n\"/a/\" = \"/tmp\"") ==
        Texts{"t.toml:6:9: error: the prefix \"/a/\" stands there twice; the first one is at t.toml:5:8"});
}

TEST_CASE("a folder of a static_map without a name is told") {
  CHECK(found_in("static_map = { \"/a\" = \"\" }") ==
        Texts{"t.toml:4:23: error: pool.a.static_map./a is empty; write a path"});
}

TEST_CASE("the prefix of an application begins with a slash and is not that of every path") {
  CHECK(found_in("path_prefix = \"/shop\"") == none());
  CHECK(found_in("path_prefix = \"/shop/\"") == none());
  CHECK(found_in("path_prefix = \"\"") == none());
  CHECK(found_in("path_prefix = \"/\"") ==
        Texts{"t.toml:4:15: error: the prefix \"/\" is that of every path; leave it out"});
  CHECK(found_in("path_prefix = \"shop\"") ==
        Texts{"t.toml:4:15: error: the prefix \"shop\" does not begin with a slash; write it as it reads when it is "
              "decoded, for example \"/shop\""});
}

TEST_CASE("pools that speak no HTTP have no paths") {
  CHECK(found_in("path_prefix = \"/x\"", "echo = {}") ==
        Texts{"t.toml:4:15: error: pool.a.path_prefix has no meaning here: the pool speaks no HTTP; leave it out"});
  CHECK(found_in("static_map = { \"/none\" = \"/none\" }", "exec = { command = [\"/bin/true\"] }").size() == 1);
}

}  // namespace prong::config
