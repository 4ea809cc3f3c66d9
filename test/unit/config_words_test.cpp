// The small parts under the reader: diagnostics, paths.
#include <catch2/catch.hpp>

#include "config/diagnostic.hpp"
#include "config/files.hpp"
#include "config/schema.hpp"
#include "os/execute.hpp"

namespace prong::config {

TEST_CASE("a diagnostic names only the parts of its place that are known") {
  CHECK(to_text(Diagnostic{.position = {.file = "a", .line = 2, .column = 3}, .message = "m", .hint = "h"}) ==
        "a:2:3: error: m; h");
  CHECK(to_text(Diagnostic{.position = {.file = "a"}, .message = "m", .hint = {}}) == "a: error: m");
  CHECK(to_text(Diagnostic{.position = {}, .message = "m", .hint = {}}) == "error: m");
}

TEST_CASE("diagnostics are sorted by file, line and column, and equal ones keep their order") {
  const auto at = [](std::string file, std::uint32_t line, std::uint32_t column, std::string message) {
    return Diagnostic{.position = {.file = std::move(file), .line = line, .column = column},
                      .message = std::move(message),
                      .hint = {}};
  };
  std::vector<Diagnostic> diagnostics{at("other", 1, 1, "7"), at("a", 2, 1, "6"), at("z", 10, 1, "4"),
                                      at("a", 1, 1, "5"),     at("z", 2, 5, "2"), at("z", 2, 5, "3"),
                                      at("z", 2, 1, "1")};
  sort_diagnostics(diagnostics, {"z", "a"});
  std::string order;
  for (const Diagnostic& diagnostic : diagnostics) order += diagnostic.message;
  CHECK(order == "1234567");
}

TEST_CASE("names of pools are short and plain") {
  CHECK(is_pool_name("a"));
  CHECK(is_pool_name("Shop_2-b"));
  CHECK(is_pool_name(std::string(64, 'x')));
  CHECK_FALSE(is_pool_name(""));
  CHECK_FALSE(is_pool_name(std::string(65, 'x')));
  CHECK_FALSE(is_pool_name("a.b"));
  CHECK_FALSE(is_pool_name("a/b"));
  CHECK_FALSE(is_pool_name("ä"));
}

TEST_CASE("paths become absolute and normal") {
  CHECK(absolute_path("a", "/x") == "/x/a");
  CHECK(absolute_path("../a/./b/", "/x/y") == "/x/a/b");
  CHECK(absolute_path("/a", "/x") == "/a");
  CHECK(absolute_path("..", "/x") == "/");
  CHECK(absolute_path("../../..", "/x") == "/");
  CHECK(folder_of("/etc/prongd.toml") == "/etc");
  CHECK(folder_of("prongd.toml") == os::working_directory());
}

}  // namespace prong::config
