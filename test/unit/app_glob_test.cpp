// Patterns of names.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>

#include "app/glob.hpp"

using prong::app::glob_matches;

TEST_CASE("a star is any text, a question mark one character") {
  struct Row {
    std::string_view pattern, text;
    bool matches;
  };
  for (const Row& row : {Row{"", "", true},
                         {"", "a", false},
                         {"*", "", true},
                         {"*", "a/b.c", true},
                         {"**", "a", true},
                         {"?", "", false},
                         {"?", "a", true},
                         {"?", "ab", false},
                         {"?", "\xc3\xa4", true},
                         {"??", "\xc3\xa4", false},
                         {"?b",
                          "\xe2\x82\xac"
                          "b",
                          true},
                         {"?", "\xff", true},
                         {"*?", "", false},
                         {"*?", "a", true},
                         {"?*", "abc", true},
                         {"*.css", "style.css", true},
                         {"*.css", ".css", true},
                         {"*.css", "style.css.map", false},
                         {"*.css", "style.CSS", false},
                         {"/assets/*", "/assets/a/b.js", true},
                         {"/assets/*", "/assets/", true},
                         {"/assets/*", "/assets", false},
                         {"*.??", "a.js", true},
                         {"*.??", "a.css", false},
                         {"a*b*c", "abc", true},
                         {"a*b*c", "a-b-b-c-c", true},
                         {"a*b*c", "acb", false},
                         {"*-*.js", "main-1f2e.js", true},
                         {"*a*a*b", "aaaaab", true},
                         {"*abab*c", "abaabababc", true},
                         {"[a]", "[a]", true},
                         {"[a]", "a", false},
                         {"\\*", "\\x", true}}) {
    INFO(row.pattern << " and " << row.text);
    CHECK(glob_matches(row.pattern, row.text) == row.matches);
  }
}

TEST_CASE("a pattern of many stars does not take for ever") {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "*a";
  CHECK_FALSE(glob_matches(pattern + "b", std::string(4000, 'a')));
}
