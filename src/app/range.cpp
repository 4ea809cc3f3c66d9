#include "app/range.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "http/headers.hpp"

namespace prong::app {
namespace {

constexpr std::string_view kSpace = " \t";
constexpr std::uint64_t kLargest = std::numeric_limits<std::uint64_t>::max();

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// Nothing for what has another character than digits, or none. What is too large for the type is the largest: no
// file is that long.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t number = 0;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return std::nullopt;
    const auto value = static_cast<std::uint64_t>(digit - '0');
    number = number > (kLargest - value) / 10 ? kLargest : number * 10 + value;
  }
  return number;
}

// One entry of the list; of size 0 if it can be read but is beyond the end. Nothing: malformed.
std::optional<ByteRange> parse_entry(std::string_view entry, std::uint64_t size) {
  constexpr ByteRange kBeyond{};
  const std::size_t dash = entry.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::optional<std::uint64_t> first = parse_number(entry.substr(0, dash));
  const std::optional<std::uint64_t> last = parse_number(entry.substr(dash + 1));
  if (dash == 0) {
    if (!last) return std::nullopt;
    const std::uint64_t length = std::min(*last, size);
    return ByteRange{.first = size - length, .size = length};
  }
  if (!first || (!last && dash + 1 != entry.size()) || (last && *last < *first)) return std::nullopt;
  if (*first >= size) return kBeyond;
  return ByteRange{.first = *first, .size = std::min(last.value_or(kLargest), size - 1) - *first + 1};
}

bool touch(const ByteRange& left, const ByteRange& right) {
  return left.first <= right.first + right.size && right.first <= left.first + left.size;
}

ByteRange united(const ByteRange& left, const ByteRange& right) {
  const std::uint64_t first = std::min(left.first, right.first);
  return {.first = first, .size = std::max(left.first + left.size, right.first + right.size) - first};
}

}  // namespace

// What it touches is taken out and put in again together with it, in the place of the earliest.
void RangeSet::add(ByteRange range) {
  std::size_t place = size_;
  for (std::size_t i = 0; i < size_;) {
    if (!touch(ranges_[i], range)) {
      ++i;
      continue;
    }
    range = united(ranges_[i], range);
    place = std::min(place, i);
    std::copy(ranges_.begin() + static_cast<std::ptrdiff_t>(i) + 1,
              ranges_.begin() + static_cast<std::ptrdiff_t>(size_), ranges_.begin() + static_cast<std::ptrdiff_t>(i));
    --size_;
    i = 0;  // what is larger now may touch one that it did not touch before
  }
  place = std::min(place, size_);
  std::copy_backward(ranges_.begin() + static_cast<std::ptrdiff_t>(place),
                     ranges_.begin() + static_cast<std::ptrdiff_t>(size_),
                     ranges_.begin() + static_cast<std::ptrdiff_t>(size_) + 1);
  ranges_[place] = range;
  ++size_;
}

RangeSet parse_range(std::string_view value, std::uint64_t size) {
  const RangeSet whole(RangeSet::Verdict::kWhole);
  const std::size_t equals = value.find('=');
  if (size == 0 || equals == std::string_view::npos) return whole;
  if (!http::equals_ignoring_case(value.substr(0, equals), "bytes")) return whole;  // section 14.1: units have no case
  RangeSet result(RangeSet::Verdict::kUnsatisfiable);
  std::size_t entries = 0;
  for (std::string_view rest = value.substr(equals + 1); !rest.empty();) {
    const std::string_view entry = trimmed(rest.substr(0, rest.find(',')));
    rest.remove_prefix(std::min(rest.find(','), rest.size() - 1) + 1);
    if (entry.empty()) continue;  // section 5.6.1.2: lists may have empty entries
    const std::optional<ByteRange> range = parse_entry(entry, size);
    if (!range || ++entries > RangeSet::kMost) return whole;
    if (range->size > 0) result.add(*range);
  }
  if (entries == 0) return whole;
  if (result.size() > 0) result.verdict_ = RangeSet::Verdict::kParts;
  return result;
}

}  // namespace prong::app
