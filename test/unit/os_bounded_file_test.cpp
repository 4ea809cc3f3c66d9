// A memory file for a process that nobody trusts.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "os/bounded_file.hpp"

namespace prong::os {
namespace {

constexpr std::size_t kBytes = 4096;

UniqueFd make() {
  auto fd = make_bounded_file("test", kBytes);
  REQUIRE(fd.has_value());
  return std::move(*fd);
}

bool write_text(int fd, std::string_view text) {
  return ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

TEST_CASE("what was written to a bounded file is read, and nothing behind it") {
  const UniqueFd fd = make();
  CHECK(read_bounded_file(fd.get(), kBytes) == "");
  REQUIRE(write_text(fd.get(), "one "));
  REQUIRE(write_text(fd.get(), "two"));
  CHECK(read_bounded_file(fd.get(), kBytes) == "one two");
  CHECK(read_bounded_file(fd.get(), 5) == "one t");
}

TEST_CASE("a bounded file takes as much as was said, and keeps its size whatever its writer does") {
  const UniqueFd fd = make();
  const std::string whole(kBytes, 'x');
  REQUIRE(write_text(fd.get(), whole));
  CHECK_FALSE(write_text(fd.get(), "more"));
  CHECK(errno == EPERM);
  CHECK(::ftruncate(fd.get(), 2 * kBytes) == -1);
  CHECK(::ftruncate(fd.get(), 0) == -1);
  CHECK(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE) == -1);
  CHECK(read_bounded_file(fd.get(), 2 * kBytes) == whole);
}

TEST_CASE("a bounded file larger than one read comes whole") {
  constexpr std::size_t kLarge = 100'000;
  const auto fd = make_bounded_file("test", 2 * kLarge);
  REQUIRE(fd.has_value());
  std::string text;
  while (text.size() < kLarge) text += std::to_string(text.size()) + "\n";
  REQUIRE(write_text(fd->get(), text));
  CHECK(read_bounded_file(fd->get(), 2 * kLarge) == text);
}

}  // namespace prong::os
