#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "base/characters.hpp"

namespace prong {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, so that to_text can take as much as possible of each.
constexpr std::array kDurationUnits{Unit{"d", 86'400'000}, Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000},
                                    Unit{"ms", 1}};
constexpr std::array kSizeUnits{Unit{"TiB", 1ULL << 40U},
                                Unit{"GiB", 1ULL << 30U},
                                Unit{"MiB", 1ULL << 20U},
                                Unit{"KiB", 1ULL << 10U},
                                Unit{"TB", 1'000'000'000'000},
                                Unit{"GB", 1'000'000'000},
                                Unit{"MB", 1'000'000},
                                Unit{"kB", 1'000},
                                Unit{"B", 1}};

// Both types live in signed 64-bit arithmetic further on (off_t, chrono), so that is the limit.
constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();

// Without a unit: no part.
struct Part {
  std::uint64_t value = 0;
  std::string_view unit;
};

// Takes "<digits><letters>" off the front of text; nothing when it does not start with such a part.
std::optional<Part> take_part(std::string_view& text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  auto at = static_cast<std::size_t>(end - text.data());
  const std::size_t unit_start = at;
  while (at < text.size() && is_letter(text[at])) ++at;
  Part part{value, text.substr(unit_start, at - unit_start)};
  text.remove_prefix(at);
  return part;
}

template <std::size_t N>
const Unit* find_unit(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& unit : units)
    if (unit.name == name) return &unit;
  return nullptr;
}

std::optional<std::uint64_t> scaled(std::uint64_t value, std::uint64_t factor) {
  if (value > kLargest / factor) return std::nullopt;
  return value * factor;
}

bool all_digits(std::string_view text) {
  for (const char c : text)
    if (!is_digit(c)) return false;
  return !text.empty();
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  if (all_digits(text))
    return failure(fmt::format("\"{}\" has no unit", text), fmt::format(R"(write "{0}s" or "{0}ms")", text));
  std::uint64_t total = 0;
  std::uint64_t last_factor = std::numeric_limits<std::uint64_t>::max();
  std::string_view rest = text;
  do {
    const Part part = take_part(rest).value_or(Part{});
    const Unit* unit = find_unit(kDurationUnits, part.unit);
    if (unit == nullptr || unit->factor >= last_factor)
      return failure(fmt::format("\"{}\" is not a duration", text), R"(write for example "250ms", "30s", "1h30m")");
    const auto amount = scaled(part.value, unit->factor);
    if (!amount || *amount > kLargest - total) return failure(fmt::format("\"{}\" is too long a duration", text));
    total += *amount;
    last_factor = unit->factor;
  } while (!rest.empty());
  return Duration{static_cast<Duration::rep>(total)};
}

Result<ByteSize> parse_byte_size(std::string_view text) {
  if (text == "0") return ByteSize{0};
  if (all_digits(text))
    return failure(fmt::format("\"{}\" has no unit", text), fmt::format(R"(write "{0}B" or "{0}KiB")", text));
  std::string_view rest = text;
  const Part part = take_part(rest).value_or(Part{});
  const Unit* unit = find_unit(kSizeUnits, part.unit);
  if (unit == nullptr || !rest.empty())
    return failure(fmt::format("\"{}\" is not a size", text), R"(write for example "512B", "64KiB", "10MiB")");
  const auto bytes = scaled(part.value, unit->factor);
  if (!bytes) return failure(fmt::format("\"{}\" is too large a size", text));
  return ByteSize{*bytes};
}

std::string to_text(Duration duration) {
  auto rest = static_cast<std::uint64_t>(duration.count());
  if (rest == 0) return "0";
  std::string text;
  for (const Unit& unit : kDurationUnits) {
    if (rest < unit.factor) continue;
    text += fmt::format("{}{}", rest / unit.factor, unit.name);
    rest %= unit.factor;
  }
  return text;
}

std::string to_text(ByteSize size) {
  if (size.bytes == 0) return "0";
  // The unit that leaves the smallest number; the largest binary one is not always it: 2GB is 1953125KiB.
  const Unit* best = &kSizeUnits.back();
  for (const Unit& unit : kSizeUnits)
    if (size.bytes % unit.factor == 0 && unit.factor > best->factor) best = &unit;
  return fmt::format("{}{}", size.bytes / best->factor, best->name);
}

std::string to_rough_text(std::chrono::nanoseconds duration) {
  using std::chrono::duration_cast;
  const auto seconds = duration_cast<std::chrono::duration<double>>(duration).count();
  // Each border a little below, so that rounding never shows 1000ms or 60.0s.
  if (seconds < 0.9995e-3) return fmt::format("{:.0f}us", seconds * 1e6);
  if (seconds < 0.9995) return fmt::format("{:.0f}ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.1f}s", seconds);
  const auto whole = static_cast<std::uint64_t>(seconds);
  if (whole < 3'600) return fmt::format("{}m {}s", whole / 60, whole % 60);
  if (whole < 86'400) return fmt::format("{}h {}m", whole / 3'600, whole % 3'600 / 60);
  return fmt::format("{}d {}h", whole / 86'400, whole % 86'400 / 3'600);
}

}  // namespace prong
