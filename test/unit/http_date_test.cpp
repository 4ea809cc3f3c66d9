// Dates in the three forms of RFC 9110 section 5.6.7.
#include <catch2/catch.hpp>

#include <ctime>
#include <limits>
#include <optional>
#include <string>

#include "http/date.hpp"

using prong::http::cached_date;
using prong::http::format_date;
using prong::http::parse_date;

namespace {
constexpr std::time_t kExample = 784111777;
constexpr std::time_t kNow = 1'800'000'000;  // 2027
}  // namespace

TEST_CASE("a date is written as RFC 9110 has it") {
  CHECK(format_date(kExample) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(format_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(format_date(-1) == "Wed, 31 Dec 1969 23:59:59 GMT");
  CHECK(format_date(951782400) == "Tue, 29 Feb 2000 00:00:00 GMT");
  CHECK(format_date(std::numeric_limits<std::time_t>::max()) == "Fri, 31 Dec 9999 23:59:59 GMT");
  CHECK(format_date(std::numeric_limits<std::time_t>::min()) == "Mon, 01 Jan 0001 00:00:00 GMT");
}

TEST_CASE("the cached date follows the time in both directions") {
  CHECK(cached_date(kExample) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(cached_date(kExample) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(cached_date(kExample + 1) == "Sun, 06 Nov 1994 08:49:38 GMT");
  CHECK(cached_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
}

TEST_CASE("all three forms are read") {
  CHECK(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == kExample);
  CHECK(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", kNow) == kExample);
  CHECK(parse_date("Sun Nov  6 08:49:37 1994", kNow) == kExample);
  CHECK(parse_date("Wed Nov 16 08:49:37 1994", kNow) == kExample + 864'000);
}

TEST_CASE("a year of two digits is not taken for one more than 50 years ahead") {
  CHECK(parse_date("Friday, 01-Jan-77 00:00:00 GMT", kNow) == parse_date("Fri, 01 Jan 2077 00:00:00 GMT", kNow));
  CHECK(parse_date("Sunday, 01-Jan-78 00:00:00 GMT", kNow) == parse_date("Sun, 01 Jan 1978 00:00:00 GMT", kNow));
}

TEST_CASE("what is written comes back") {
  for (std::time_t time = -1'000'000'000; time < 10'000'000'000; time += 86'399'999)
    REQUIRE(parse_date(format_date(time), kNow) == time);
}

TEST_CASE("what is no date is refused") {
  for (const char* text :
       {"", "0", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC", "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994"})
    CHECK_FALSE(parse_date(text, kNow).has_value());
}
