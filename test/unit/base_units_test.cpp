// Durations and sizes as people write them.
#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "walk.hpp"

namespace prong {
namespace {

using namespace std::chrono_literals;
using namespace literals;

std::string duration_error(std::string_view text) {
  const auto parsed = parse_duration(text);
  return parsed ? "good: " + to_text(*parsed) : parsed.error().text();
}

std::string size_error(std::string_view text) {
  const auto parsed = parse_byte_size(text);
  return parsed ? "good: " + to_text(*parsed) : parsed.error().text();
}

}  // namespace

TEST_CASE("durations are read in every unit, alone and together") {
  CHECK(parse_duration("0") == Duration{0});
  CHECK(parse_duration("0s") == Duration{0});
  CHECK(parse_duration("250ms") == 250ms);
  CHECK(parse_duration("30s") == 30s);
  CHECK(parse_duration("5m") == 5min);
  CHECK(parse_duration("1h30m") == 90min);
  CHECK(parse_duration("2d") == 48h);
  CHECK(parse_duration("1d2h3m4s5ms") == 26h + 3min + 4s + 5ms);
  CHECK(parse_duration("90s") == 90s);
  CHECK(parse_duration("007s") == 7s);
}

TEST_CASE("a number without a unit is refused with what to write") {
  CHECK(duration_error("30") == "\"30\" has no unit; write \"30s\" or \"30ms\"");
  CHECK(duration_error("00") == "\"00\" has no unit; write \"00s\" or \"00ms\"");
  CHECK(size_error("512") == "\"512\" has no unit; write \"512B\" or \"512KiB\"");
}

TEST_CASE("what is no duration is refused with examples") {
  for (const std::string_view text : {"", "s", "abc", "-5s", "+5s", "1.5s", "5 s", " 5s", "5s ", "5S", "5sec", "1m1h",
                                      "1s1s", "1m1m", "1h30", "1ms1s", "5s\n", "1h-30m"})
    CHECK_THAT(duration_error(text), Catch::StartsWith("\"" + std::string{text} + "\" is not a duration; write"));
}

TEST_CASE("a duration that no clock can hold is refused") {
  CHECK(duration_error("9223372036854775807ms") == "good: " + to_text(Duration::max()));
  CHECK_THAT(duration_error("9223372036854775808ms"), Catch::EndsWith("is too long a duration"));
  CHECK_THAT(duration_error("106751991168d"), Catch::EndsWith("is too long a duration"));
  CHECK_THAT(duration_error("106751991167d23h"), Catch::EndsWith("is too long a duration"));
  CHECK_FALSE(parse_duration("99999999999999999999999s").has_value());
  CHECK_FALSE(parse_duration("18446744073709551617ms").has_value());
}

TEST_CASE("a duration's text reads back as the same duration") {
  CHECK(to_text(Duration{0}) == "0");
  CHECK(to_text(90s) == "1m30s");
  CHECK(to_text(1500ms) == "1s500ms");
  CHECK(to_text(24h) == "1d");
  auto random = test::chance(1);
  for (int i = 0; i < 10'000; ++i) {
    const Duration duration{static_cast<Duration::rep>(random() >> (1 + random() % 63))};
    if (parse_duration(to_text(duration)) != duration) FAIL(to_text(duration));
  }
  CHECK(parse_duration(to_text(Duration::max())) == Duration::max());
}

TEST_CASE("sizes are read in binary and decimal units") {
  CHECK(parse_byte_size("0") == 0_B);
  CHECK(parse_byte_size("512B") == 512_B);
  CHECK(parse_byte_size("64KiB") == 64_KiB);
  CHECK(parse_byte_size("10MiB") == 10_MiB);
  CHECK(parse_byte_size("2GiB") == 2_GiB);
  CHECK(parse_byte_size("1TiB") == 1024_GiB);
  CHECK(parse_byte_size("10kB") == 10'000_B);
  CHECK(parse_byte_size("10MB") == 10'000'000_B);
  CHECK(parse_byte_size("10GB") == 10'000'000'000_B);
  CHECK(parse_byte_size("1TB") == 1'000'000'000'000_B);
}

TEST_CASE("what is no size is refused with examples") {
  for (const std::string_view text :
       {"", "B", "64K", "64k", "64KB", "64kib", "1.5MiB", "-1B", "1 KiB", "1KiB ", "1MiB512KiB", "lots"})
    CHECK_THAT(size_error(text), Catch::StartsWith("\"" + std::string{text} + "\" is not a size; write"));
}

TEST_CASE("a size that no file offset can hold is refused") {
  CHECK(parse_byte_size("9223372036854775807B") == ByteSize{std::numeric_limits<std::int64_t>::max()});
  CHECK_THAT(size_error("9223372036854775808B"), Catch::EndsWith("is too large a size"));
  CHECK_THAT(size_error("8388608TiB"), Catch::EndsWith("is too large a size"));
  CHECK(parse_byte_size("8388607TiB").has_value());
  CHECK_FALSE(parse_byte_size("99999999999999999999999B").has_value());
}

TEST_CASE("a size's text reads back as the same size") {
  CHECK(to_text(0_B) == "0");
  CHECK(to_text(65536_B) == "64KiB");
  CHECK(to_text(65537_B) == "65537B");
  CHECK(to_text(1024_GiB) == "1TiB");
  auto random = test::chance(1);
  for (int i = 0; i < 10'000; ++i) {
    const ByteSize size{(random() >> (1 + random() % 63)) << (random() % 3 == 0 ? 10U : 0U) >> 1U};
    if (size.bytes <= std::uint64_t{std::numeric_limits<std::int64_t>::max()} && parse_byte_size(to_text(size)) != size)
      FAIL(to_text(size));
  }
}

TEST_CASE("a size comes back in the unit that makes it shortest, decimal ones included") {
  CHECK(to_text(1'000_B) == "1kB");
  CHECK(to_text(1'000'000_B) == "1MB");
  CHECK(to_text(1'000'000'000_B) == "1GB");
  CHECK(to_text(2'000'000'000_B) == "2GB");
  CHECK(to_text(1'000'000'000'000_B) == "1TB");
  CHECK(to_text(1024'000_B) == "1000KiB");
}

TEST_CASE("rough durations are for people") {
  CHECK(to_rough_text(0ns) == "0us");
  CHECK(to_rough_text(900us) == "900us");
  CHECK(to_rough_text(12ms) == "12ms");
  CHECK(to_rough_text(12'400us) == "12ms");
  CHECK(to_rough_text(1s) == "1.0s");
  CHECK(to_rough_text(41'300ms) == "41.3s");
  CHECK(to_rough_text(60s) == "1m 0s");
  CHECK(to_rough_text(61s) == "1m 1s");
  CHECK(to_rough_text(3h + 4min + 59s) == "3h 4m");
  CHECK(to_rough_text(51h) == "2d 3h");
}

}  // namespace prong
