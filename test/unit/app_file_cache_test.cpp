// The cache of files, without files.
#include <catch2/catch.hpp>
#include <fcntl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "app/file_cache.hpp"

using namespace prong;
using app::FileCache;
using app::LoadedFile;
using std::chrono::seconds;

namespace {

constexpr os::TimePoint kStart{seconds{1000}};

FileCache::File in_memory() {
  return std::make_shared<const LoadedFile>(os::FileInfo{}, app::FileDescription{.content_type = "x/y"}, 0);
}

FileCache::File open_file() {
  os::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  LoadedFile loaded(os::file_info(null.get()).value(), {.content_type = "x/y"}, 0);
  loaded.set_file(std::move(null));
  return std::make_shared<const LoadedFile>(std::move(loaded));
}

FileCache::File content_of(std::size_t size) {
  LoadedFile loaded(os::FileInfo{}, {.content_type = "x/y"}, 0);
  loaded.set_content(std::string(size, 'x'));
  return std::make_shared<const LoadedFile>(std::move(loaded));
}

// Which of the keys "a" to "f" are there.
std::string kept(FileCache& cache) {
  std::string keys;
  for (const std::string key : {"a", "b", "c", "d", "e", "f"})
    if (cache.find(key, kStart)) keys += key;
  return keys;
}

}  // namespace

TEST_CASE("what was inserted is found until it is too old, however often it was asked for") {
  FileCache cache({.entries = 10, .descriptors = 10, .bytes = 1'000'000, .time_to_live = seconds{5}});
  const auto file = in_memory();
  CHECK_FALSE(cache.find("a", kStart).has_value());
  cache.insert("a", file, kStart);
  cache.insert("b", nullptr, kStart + seconds{1});
  CHECK(cache.find("a", kStart) == file);
  CHECK(cache.find("a", kStart + seconds{4}) == file);
  CHECK_FALSE(cache.find("a", kStart + seconds{5}).has_value());
  CHECK_FALSE(cache.find("a", kStart).has_value());
  CHECK(cache.find("b", kStart + seconds{5}) == FileCache::File{});
  CHECK(cache.size() == 1);
}

TEST_CASE("files in memory are bounded by their bytes, the least recently used of them go") {
  FileCache cache({.entries = 10, .descriptors = 10, .bytes = 100, .time_to_live = seconds{5}});
  cache.insert("a", content_of(40), kStart);
  cache.insert("b", open_file(), kStart);
  cache.insert("c", content_of(40), kStart);
  CHECK(kept(cache) == "abc");
  (void)cache.find("a", kStart);
  cache.insert("d", content_of(30), kStart);
  CHECK(kept(cache) == "abd");
  // What has gone does not count any more.
  cache.insert("a", content_of(1), kStart);
  cache.insert("e", content_of(69), kStart);
  CHECK(kept(cache) == "abde");
  // One that is too large for all of it stays out, and takes the others with it at most.
  cache.insert("f", content_of(101), kStart);
  CHECK_FALSE(cache.find("f", kStart).has_value());
  CHECK(cache.find("b", kStart).has_value());
}

TEST_CASE("the least recently used goes when the cache is full") {
  FileCache cache({.entries = 3, .descriptors = 10, .bytes = 1'000'000, .time_to_live = seconds{5}});
  cache.insert("a", in_memory(), kStart);
  cache.insert("b", open_file(), kStart);
  cache.insert("c", nullptr, kStart);
  CHECK(cache.find("a", kStart).has_value());
  cache.insert("d", open_file(), kStart);
  CHECK(cache.size() == 3);
  CHECK(kept(cache) == "acd");
  cache.insert("e", in_memory(), kStart);
  CHECK(kept(cache) == "cde");
}

TEST_CASE("of open files fewer may be kept than of those in memory") {
  FileCache cache({.entries = 4, .descriptors = 2, .bytes = 1'000'000, .time_to_live = seconds{5}});
  cache.insert("a", in_memory(), kStart);
  cache.insert("b", open_file(), kStart);
  cache.insert("c", open_file(), kStart);
  CHECK(cache.find("b", kStart).has_value());
  cache.insert("d", open_file(), kStart);
  CHECK(cache.descriptors() == 2);
  CHECK(kept(cache) == "abd");
  cache.insert("e", in_memory(), kStart);
  CHECK(kept(cache) == "abde");
}

TEST_CASE("a key that is inserted again has what came last") {
  FileCache cache({.entries = 2, .descriptors = 2, .bytes = 1'000'000, .time_to_live = seconds{5}});
  const auto file = in_memory();
  cache.insert("a", open_file(), kStart);
  cache.insert("a", file, kStart + seconds{2});
  CHECK(cache.size() == 1);
  CHECK(cache.descriptors() == 0);
  CHECK(cache.find("a", kStart + seconds{6}) == file);
}

TEST_CASE("what is too old is dropped, and the next time is told") {
  FileCache cache({.entries = 10, .descriptors = 10, .bytes = 1'000'000, .time_to_live = seconds{8}});
  CHECK(cache.expire(kStart) == std::nullopt);
  cache.insert("a", open_file(), kStart);
  cache.insert("b", open_file(), kStart + seconds{1});
  CHECK(cache.expire(kStart) == kStart + seconds{8});
  CHECK(cache.expire(kStart + seconds{7}) == kStart + seconds{9});
  CHECK(cache.size() == 2);
  CHECK(cache.expire(kStart + seconds{8}) == kStart + seconds{10});
  CHECK(kept(cache) == "b");
  CHECK(cache.expire(kStart + seconds{10}) == std::nullopt);
  CHECK(cache.size() == 0);
}

TEST_CASE("a cache without time or entries keeps nothing") {
  FileCache timeless({.entries = 10, .descriptors = 10, .bytes = 1'000'000, .time_to_live = {}});
  timeless.insert("a", in_memory(), kStart);
  CHECK(timeless.size() == 0);
  FileCache empty({.entries = 0, .descriptors = 10, .bytes = 1'000'000, .time_to_live = seconds{8}});
  empty.insert("a", in_memory(), kStart);
  CHECK(empty.size() == 0);
  FileCache closed({.entries = 10, .descriptors = 0, .bytes = 1'000'000, .time_to_live = seconds{8}});
  closed.insert("a", open_file(), kStart);
  closed.insert("b", in_memory(), kStart);
  CHECK(kept(closed) == "b");
  closed.clear();
  CHECK(closed.size() == 0);
}
