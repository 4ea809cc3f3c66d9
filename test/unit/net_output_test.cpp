// What waits to be sent, taken in pieces of any size.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <malloc.h>

#include <cstddef>
#include <string>
#include <utility>

#include "net/output.hpp"
#include "output_driver.hpp"

using namespace prong;
using net::FileBody;
using net::Output;

TEST_CASE("output of nothing is empty") {
  Output output;
  CHECK(output.empty());
  output.append(std::string());
  output.append(FileBody{});
  CHECK(output.empty());
}

TEST_CASE("small texts become one piece, large ones are taken over") {
  Output output;
  output.text() += "head ";
  output.append(std::string("body "));
  output.text() += "head ";
  CHECK(output.memory() == "head body head ");
  CHECK_FALSE(output.more_follows());
  std::string large(1'000'000, 'x');
  const char* const place = large.data();
  output.append(std::move(large));
  CHECK(output.more_follows());
  CHECK(output.size() == 1'000'015);
  output.consume(15);
  CHECK(output.memory().data() == place);
}

TEST_CASE("whatever the pieces are, everything comes out once and in order") {
  for (std::size_t piece = 1; piece < 50; ++piece) {
    Output output;
    std::string expected;
    for (int round = 0; round < 3; ++round) {
      output.text() += "first" + std::to_string(round);
      output.append(std::string(20'000, 'y'));
      output.append(
          FileBody{.file = std::make_shared<const os::UniqueFd>(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)),
                   .offset = 1,
                   .size = 3});
      output.append(std::string("last"));
      expected += "first" + std::to_string(round) + std::string(20'000, 'y') + "ELFlast";
      CHECK(output.holds_file());
    }
    CHECK(output.size() == expected.size());
    std::string taken;
    while (!output.empty()) taken += test::take(output, piece);
    REQUIRE(taken == expected);
    CHECK_FALSE(output.holds_file());
    output.text() += "again";
    CHECK(output.memory() == "again");
  }
}

TEST_CASE("an answer of many parts leaves little memory behind") {
  // A sanitizer's allocator counts nothing here.
  constexpr std::size_t kMany = 1'000;
  constexpr std::size_t kMostLeft = 2'048;
  const auto file = std::make_shared<const os::UniqueFd>(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const std::size_t before = ::mallinfo2().uordblks;
  Output output;
  for (std::size_t i = 0; i < kMany; ++i) {
    output.text() += "part";
    output.append(FileBody{.file = file, .offset = 1, .size = 3});
  }
  CHECK(test::take(output, 7 * kMany).size() == 7 * kMany);
  CHECK(output.empty());
  CHECK(::mallinfo2().uordblks - before < kMostLeft);
}
