#include <catch2/catch.hpp>

#include <chrono>

#include "log/repetition.hpp"

namespace prong::log {
namespace {

using namespace std::chrono_literals;

constexpr os::TimePoint kBegin{1'000s};

}  // namespace

TEST_CASE("the first line is told, and in each interval one more with the number of those before it") {
  Repetition repetition{1s};
  CHECK(repetition.count(kBegin) == "");
  CHECK(repetition.count(kBegin + 1ms) == std::nullopt);
  CHECK(repetition.count(kBegin + 999ms) == std::nullopt);
  CHECK(repetition.count(kBegin + 1s) == " (and 2 before it)");
  CHECK(repetition.count(kBegin + 1500ms) == std::nullopt);
  CHECK(repetition.count(kBegin + 9s) == " (and 1 before it)");
  CHECK(repetition.count(kBegin + 19s) == "");
}

TEST_CASE("several lines in an interval are told when they are meant to be") {
  Repetition repetition{1s, 3};
  for (int i = 0; i < 3; ++i) CHECK(repetition.count(kBegin) == "");
  CHECK(repetition.count(kBegin + 500ms) == std::nullopt);
  CHECK(repetition.count(kBegin + 1s) == " (and 1 before it)");
  CHECK(repetition.count(kBegin + 1s) == "");
}

}  // namespace prong::log
