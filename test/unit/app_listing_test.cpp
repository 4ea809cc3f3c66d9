// The page that lists a directory.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <utility>

#include "app/listing.hpp"

using namespace prong;

namespace {

os::DirectoryEntry entry(std::string name, os::FileKind kind = os::FileKind::kRegular, std::uint64_t size = 0) {
  return {.name = std::move(name),
          .info = {.kind = kind, .size = size, .inode = 1, .modified = {.tv_sec = 784111777, .tv_nsec = 0}}};
}

os::DirectoryEntry directory(std::string name) {
  return entry(std::move(name), os::FileKind::kDirectory, 4096);
}

// The links of a page, in order: "../ sub/ a.txt".
std::string links_of(std::string_view page) {
  constexpr std::string_view kLink = "<a href=\"";
  std::string links;
  for (std::size_t at = page.find(kLink); at != std::string_view::npos; at = page.find(kLink, at)) {
    at += kLink.size();
    if (!links.empty()) links += ' ';
    links += page.substr(at, page.find('"', at) - at);
  }
  return links;
}

bool has(const std::string& page, std::string_view text) {
  return page.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("directories come first, both by name, after the way up") {
  const std::string page = app::listing_page(
      "sub", {.entries = {entry("b"), directory("z"), entry("a"), entry("B"), directory("c")}, .is_whole = true});
  CHECK(links_of(page) == "../ c/ z/ B a b");
  CHECK(links_of(app::listing_page("", {})).empty());
  CHECK_FALSE(has(page, "There are more"));
}

TEST_CASE("a row has the size and the time of a file") {
  const std::string page = app::listing_page(
      "", {.entries = {entry("a", os::FileKind::kRegular, 13), entry("b", os::FileKind::kRegular, 1536),
                       entry("c", os::FileKind::kRegular, 5ULL << 40U), directory("d")},
           .is_whole = true});
  CHECK(has(page, ">a</a></td><td>13 B</td><td>1994-11-06 08:49</td>"));
  CHECK(has(page, ">b</a></td><td>1.5 KiB</td>"));
  CHECK(has(page, ">c</a></td><td>5.0 TiB</td>"));
  CHECK(has(page, ">d/</a></td><td></td><td>1994-11-06 08:49</td>"));
}

TEST_CASE("no name can leave its place in the page") {
  const std::string page = app::listing_page(
      "<b>&\"'",
      {.entries = {entry("<script>alert(1)</script>"), entry("a\"onclick='x"), entry("a&amp;b"), entry("a b?c#d%e"),
                   entry("java:script"), entry("\xc3\xa4"), entry("bad\xff\xc3"), entry("line\nbreak\x7f")},
       .is_whole = true});
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "<b>"));
  CHECK(has(page, "Index of /&lt;b&gt;&amp;&quot;&#39;/"));
  CHECK(has(page, ">a&quot;onclick=&#39;x<"));
  CHECK(has(page, ">a&amp;amp;b<"));
  CHECK(has(page, "href=\"a%20b%3Fc%23d%25e\""));
  CHECK(has(page, "href=\"java%3Ascript\""));
  CHECK(has(page, "href=\"%C3%A4\">\xc3\xa4<"));
  CHECK(has(page, "href=\"bad%FF%C3\">bad\xEF\xBF\xBD\xEF\xBF\xBD<"));
  CHECK(has(page,
            "href=\"line%0Abreak%7F\">line\xEF\xBF\xBD"
            "break\xEF\xBF\xBD<"));
}

TEST_CASE("what is no UTF-8 is replaced byte by byte") {
  const auto shown = [](const char* name) {
    const std::string page = app::listing_page("", {.entries = {entry(name)}, .is_whole = true});
    const std::size_t begin = page.find(R"(">)", page.find("href")) + 2;
    return page.substr(begin, page.find("</a>") - begin);
  };
  const std::string bad = "\xEF\xBF\xBD";
  for (const char* good : {"a", "~", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF",
                           "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    CHECK(shown(good) == good);
  for (const char* wrong : {"\x80", "\xC0", "\xC1", "\xC2", "\xE1", "\xF0", "\xF5", "\xFF"}) CHECK(shown(wrong) == bad);
  CHECK(shown("\xC0\xAF") == bad + bad);
  CHECK(shown("\xE0\x80\xAF") == bad + bad + bad);
  CHECK(shown("\xED\xA0\x80") == bad + bad + bad);
  CHECK(shown("\xF4\x90\x80\x80") == bad + bad + bad + bad);
  CHECK(shown("\xE2\x82"
              "a") == bad + bad + "a");
}

TEST_CASE("a page that had to be cut says so") {
  CHECK(has(app::listing_page("", {.entries = {entry("a")}, .is_whole = false}), "more than the 1 shown"));
}
