// What a cache changes: nothing that a client could call wrong.
#include <catch2/catch.hpp>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <utility>

#include "app_request.hpp"
#include "app_site.hpp"

using namespace prong;
using namespace prong::test;
namespace fs = std::filesystem;

namespace {

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

}  // namespace

TEST_CASE("a small file comes from memory until it is too old") {
  const Site site;
  const auto files = Site::serve(site.cached());
  CHECK(get(*files, "/a.txt").body == "a text\n");
  site.replace("a.txt", "another\n");
  CHECK(get(*files, "/a.txt").body == "a text\n");
  CHECK(get(*files, "/%61.txt").body == "a text\n");
  (void)files->do_housekeeping(os::now() + std::chrono::hours{1});
  CHECK(get(*files, "/a.txt").body == "another\n");
}

TEST_CASE("a large file comes from one descriptor, and anew when it was written to") {
  const Site site;
  const std::string content(100'000, 'x');
  site.write("large", content);
  site.set_age("large", 100);
  const auto files = Site::serve(site.cached());
  const std::size_t before = open_descriptors();
  const Answered first = get(*files, "/large");
  CHECK(first.from_file);
  CHECK(open_descriptors() == before + 1);
  CHECK(get(*files, "/large").headers == first.headers);
  CHECK(open_descriptors() == before + 1);
  site.replace("large", "short");
  CHECK(get(*files, "/large").body == content);
  site.write("large", "short");  // another file by now
  CHECK(get(*files, "/large").body == content);
  (void)files->do_housekeeping(os::now() + std::chrono::hours{1});
  CHECK(open_descriptors() == before);

  site.write("large", content);
  CHECK(get(*files, "/large").body == content);
  site.write("large", content + content);
  const Answered grown = get(*files, "/large");
  CHECK(grown.body == content + content);
  CHECK(grown.headers != first.headers);
  site.write("large", "short");
  CHECK(get(*files, "/large").body == "short");
  CHECK(get(*files, "/large").body == "short");
}

TEST_CASE("a file that has vanished is closed soon after, and not found then") {
  const Site site;
  site.write("large", std::string(100'000, 'x'));
  const auto files = Site::serve(site.cached(std::chrono::seconds{10}));
  const std::size_t before = open_descriptors();
  CHECK(get(*files, "/large").status == 200);
  fs::remove(site.root() / "large");
  const auto due = files->do_housekeeping(os::now());
  REQUIRE(due.has_value());
  CHECK(*due - os::now() <= std::chrono::seconds{13});
  CHECK(open_descriptors() == before + 1);
  CHECK(files->do_housekeeping(*due) == std::nullopt);
  CHECK(open_descriptors() == before);
  CHECK(get(*files, "/large").status == 404);
}

TEST_CASE("without a cache nothing stays open between requests") {
  const Site site;
  site.write("large", std::string(100'000, 'x'));
  const auto files = site.files();
  const std::size_t before = open_descriptors();
  CHECK(get(*files, "/large").status == 200);
  CHECK(files->do_housekeeping(os::now()) == std::nullopt);
  CHECK(open_descriptors() == before);
  site.replace("a.txt", "another\n");
  CHECK(get(*files, "/a.txt").body == "another\n");
}

TEST_CASE("the cache never keeps more descriptors than it may") {
  const Site site;
  app::StaticSettings settings = site.cached();
  settings.cache_descriptors = 3;
  for (int i = 0; i < 10; ++i) site.write("large" + std::to_string(i), std::string(100'000, 'x'));
  const auto files = Site::serve(std::move(settings));
  CHECK(files->descriptor_needs().held == 1 + 3);
  CHECK(site.files()->descriptor_needs().held == 1);
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 10; ++i) CHECK(get(*files, "/large" + std::to_string(i)).status == 200);
  (void)files->do_housekeeping(os::now());
  CHECK(open_descriptors() == before + 3);
}

TEST_CASE("names that are not there are not remembered") {
  const Site site;
  const auto files = Site::serve(site.cached());
  CHECK(get(*files, "/new.txt").status == 404);
  site.write("new.txt", "new\n");
  CHECK(get(*files, "/new.txt").body == "new\n");
}

TEST_CASE("a small file from memory is lent, a larger one shared") {
  const Site site;
  site.write("larger", std::string(20'000, 'x'));
  app::StaticSettings settings = site.cached();
  settings.cache_file_size = {100'000};
  const auto files = Site::serve(std::move(settings));
  const http::Response small = ask(*files, "/a.txt", "GET", {});
  CHECK(std::holds_alternative<std::string_view>(small.body));
  const http::Response larger = ask(*files, "/larger", "GET", {});
  CHECK(std::holds_alternative<http::SharedText>(larger.body));
  CHECK(ask(*files, "/a.txt", "GET", {}).headers.text().data() == small.headers.text().data());
}
