// Durations and sizes as people write them: "30s", "1h30m", "64KiB". A bare number is refused, because nobody can
// tell later whether it meant seconds or milliseconds.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace prong {

// Every duration in the configuration; milliseconds are the finest unit that can be written.
using Duration = std::chrono::milliseconds;

// A number of bytes. A type of its own so that a size can never be taken for a count.
struct ByteSize {
  std::uint64_t bytes = 0;
  auto operator<=>(const ByteSize&) const = default;
};

namespace literals {
constexpr ByteSize operator""_B(unsigned long long n) {
  return {n};
}
constexpr ByteSize operator""_KiB(unsigned long long n) {
  return {n << 10U};
}
constexpr ByteSize operator""_MiB(unsigned long long n) {
  return {n << 20U};
}
constexpr ByteSize operator""_GiB(unsigned long long n) {
  return {n << 30U};
}
}  // namespace literals

// "250ms", "30s", "5m", "1h30m", "2d", and "0" alone. Whole numbers only. The error says what to write instead.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);

// "512B", "64KiB", "10MiB", "2GiB", "1TiB", decimal "10kB", "10MB", "10GB", and "0" alone.
[[nodiscard]] Result<ByteSize> parse_byte_size(std::string_view text);

// The shortest text that parses back to the same value: "90s" comes out as "1m30s", 65536 as "64KiB".
[[nodiscard]] std::string to_text(Duration duration);
[[nodiscard]] std::string to_text(ByteSize size);

// For people, rounded to two units: "2d 3h", "41.3s", "12ms". Not for parsing.
[[nodiscard]] std::string to_rough_text(std::chrono::nanoseconds duration);

}  // namespace prong
