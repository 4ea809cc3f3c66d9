// The Range field, RFC 9110 section 14.
#include <catch2/catch.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "app/range.hpp"

using namespace prong::app;

namespace {

// "0-4 7-9" as first and last, "whole", or "416"
std::string parsed(std::string_view value, std::uint64_t size) {
  const RangeSet ranges = parse_range(value, size);
  switch (ranges.verdict()) {
    case RangeSet::Verdict::kWhole:
      return "whole";
    case RangeSet::Verdict::kUnsatisfiable:
      return "416";
    case RangeSet::Verdict::kParts:
      break;
  }
  std::string text;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    if (i > 0) text += ' ';
    text += std::to_string(ranges[i].first) + '-' + std::to_string(ranges[i].first + ranges[i].size - 1);
  }
  return text;
}

}  // namespace

TEST_CASE("one range names its first and last byte, or how many at the end") {
  struct Row {
    const char *value, *result;
  };
  for (const Row& row : {Row{"bytes=0-0", "0-0"},
                         {"bytes=0-4", "0-4"},
                         {"bytes=5-", "5-9"},
                         {"bytes=9-9", "9-9"},
                         {"bytes=3-1000", "3-9"},
                         {"bytes=0-", "0-9"},
                         {"bytes=-1", "9-9"},
                         {"bytes=-10", "0-9"},
                         {"bytes=-1000", "0-9"},
                         {"bytes=-99999999999999999999999", "0-9"},
                         {"bytes=2-99999999999999999999999", "2-9"},
                         {"bytes=00002-0003", "2-3"},
                         {"Bytes=0-1", "0-1"},
                         {"bytes= 0-1 ", "0-1"},
                         {"bytes=,0-1,", "0-1"},
                         {"bytes=0-1,\t ,", "0-1"}}) {
    INFO(row.value);
    CHECK(parsed(row.value, 10) == row.result);
  }
}

TEST_CASE("what is beyond the end cannot be satisfied") {
  for (const char* value : {"bytes=10-", "bytes=10-10", "bytes=10-20,30-", "bytes=-0", "bytes=99999999999999999999999-",
                            "bytes=18446744073709551615-", "bytes=18446744073709551616-18446744073709551617"}) {
    INFO(value);
    CHECK(parsed(value, 10) == "416");
  }
  CHECK(parsed("bytes=10-20,3-4,-0", 10) == "3-4");
}

TEST_CASE("what is malformed, or of another unit, is not there") {
  for (const char* value : {"",           "bytes",      "bytes=",     "bytes=,",       "bytes=-",     "bytes=a-b",
                            "bytes=1",    "bytes=5-4",  "bytes=--1",  "bytes=1--2",    "bytes=1-2-3", "bytes=0-1 2-3",
                            "bytes=0 -1", "bytes=0- 1", "bytes=+0-1", "bytes=0-1;q=1", "bytes=0-1,x", "bytes=0-1,5-4",
                            "bytes =0-1", "items=0-1",  "bytes:0-1",  "=0-1",          "bytes=0x0-1", "0-1"}) {
    INFO(value);
    CHECK(parsed(value, 10) == "whole");
  }
}

TEST_CASE("an empty file is always whole") {
  for (const char* value : {"bytes=0-", "bytes=-5", "bytes=0-0", "bytes=1-"}) CHECK(parsed(value, 0) == "whole");
}

TEST_CASE("several ranges keep their order, and those that overlap or touch are one") {
  struct Row {
    const char *value, *result;
  };
  for (const Row& row : {Row{"bytes=0-1,4-5", "0-1 4-5"},
                         {"bytes=4-5, 0-1", "4-5 0-1"},
                         {"bytes=-2,0-1", "98-99 0-1"},
                         {"bytes=0-5,3-8", "0-8"},
                         {"bytes=3-8,0-5", "0-8"},
                         {"bytes=0-1,2-3", "0-3"},
                         {"bytes=2-3,0-1", "0-3"},
                         {"bytes=0-1,3-4", "0-1 3-4"},
                         {"bytes=0-1,0-1", "0-1"},
                         {"bytes=0-99,5-6,7-", "0-99"},
                         {"bytes=0-1,10-11,20-21,1-19", "0-21"},
                         {"bytes=20-21,0-1,10-11,50-51,1-10", "20-21 0-11 50-51"},
                         {"bytes=20-21,10-11,50-51,11-20", "10-21 50-51"},
                         {"bytes=0-1,200-,5-6", "0-1 5-6"}}) {
    INFO(row.value);
    CHECK(parsed(row.value, 100) == row.result);
  }
}

TEST_CASE("more ranges than anybody needs are not there") {
  std::string value = "bytes=0-0";
  for (std::size_t i = 1; i < RangeSet::kMost; ++i) value += ',' + std::to_string(i * 2) + '-' + std::to_string(i * 2);
  CHECK(parse_range(value, 1000).size() == RangeSet::kMost);
  CHECK(parsed(value + ",900-", 1000) == "whole");
  CHECK(parsed(value + ",0-0", 1000) == "whole");
  CHECK(parsed(value + ",2000-", 1000) == "whole");
}

TEST_CASE("ranges of a file as large as can be do not overflow") {
  constexpr std::uint64_t kSize = std::uint64_t{1} << 63U;
  CHECK(parsed("bytes=9223372036854775807-", kSize) == "9223372036854775807-9223372036854775807");
  CHECK(parsed("bytes=0-0,-1", kSize) == "0-0 9223372036854775807-9223372036854775807");
}
