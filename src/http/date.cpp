#include "http/date.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <span>

namespace prong::http {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> kLongDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                       "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::time_t kEarliest = -62135596800;  // 0001-01-01T00:00:00Z
constexpr std::time_t kLatest = 253402300799;    // 9999-12-31T23:59:59Z

void append_number(std::string& text, int number, int digits) {
  std::array<char, 4> buffer{};
  for (int i = digits; i-- > 0; number /= 10)
    buffer.at(static_cast<std::size_t>(i)) = static_cast<char>('0' + number % 10);
  text.append(buffer.data(), static_cast<std::size_t>(digits));
}

// Takes a date apart from the left. Every step fails for good once one has failed.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void literal(std::string_view text) {
    if (rest_.starts_with(text))
      rest_.remove_prefix(text.size());
    else
      ok_ = false;
  }

  int number(std::size_t digits) {
    int value = 0;
    if (rest_.size() < digits) ok_ = false;
    for (std::size_t i = 0; ok_ && i < digits; ++i) {
      if (rest_[i] < '0' || rest_[i] > '9') ok_ = false;
      value = value * 10 + (rest_[i] - '0');
    }
    if (ok_) rest_.remove_prefix(digits);
    return value;
  }

  // The index of the word that comes next.
  std::size_t word(std::span<const std::string_view> words) {
    const auto found = std::ranges::find_if(words, [this](std::string_view word) { return rest_.starts_with(word); });
    if (found == words.end()) {
      ok_ = false;
      return 0;
    }
    rest_.remove_prefix(found->size());
    return static_cast<std::size_t>(found - words.begin());
  }

  // The day of asctime's form: two digits, or a space and one.
  int padded_day() {
    if (!rest_.starts_with(' ')) return number(2);
    literal(" ");
    return number(1);
  }

  [[nodiscard]] bool at_end() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

struct DateParts {
  int year = 0;
  std::size_t month = 0;  // from 0
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

void scan_time(Scanner& scanner, DateParts& parts) {
  parts.hour = scanner.number(2);
  scanner.literal(":");
  parts.minute = scanner.number(2);
  scanner.literal(":");
  parts.second = scanner.number(2);
}

std::optional<DateParts> scan_fixed(std::string_view text) {
  Scanner scanner(text);
  DateParts parts;
  (void)scanner.word(kDays);  // the weekday says nothing that the date does not
  scanner.literal(", ");
  parts.day = scanner.number(2);
  scanner.literal(" ");
  parts.month = scanner.word(kMonths);
  scanner.literal(" ");
  parts.year = scanner.number(4);
  scanner.literal(" ");
  scan_time(scanner, parts);
  scanner.literal(" GMT");
  return scanner.at_end() ? std::optional(parts) : std::nullopt;
}

std::optional<DateParts> scan_rfc850(std::string_view text, int year_now) {
  Scanner scanner(text);
  DateParts parts;
  (void)scanner.word(kLongDays);
  scanner.literal(", ");
  parts.day = scanner.number(2);
  scanner.literal("-");
  parts.month = scanner.word(kMonths);
  scanner.literal("-");
  parts.year = year_now - year_now % 100 + scanner.number(2);
  if (parts.year > year_now + 50) parts.year -= 100;
  scanner.literal(" ");
  scan_time(scanner, parts);
  scanner.literal(" GMT");
  return scanner.at_end() ? std::optional(parts) : std::nullopt;
}

std::optional<DateParts> scan_asctime(std::string_view text) {
  Scanner scanner(text);
  DateParts parts;
  (void)scanner.word(kDays);
  scanner.literal(" ");
  parts.month = scanner.word(kMonths);
  scanner.literal(" ");
  parts.day = scanner.padded_day();
  scanner.literal(" ");
  scan_time(scanner, parts);
  scanner.literal(" ");
  parts.year = scanner.number(4);
  return scanner.at_end() ? std::optional(parts) : std::nullopt;
}

std::chrono::sys_seconds to_point(std::time_t time) {
  return std::chrono::sys_seconds(std::chrono::seconds(time));
}

std::optional<std::time_t> to_time(const DateParts& parts) {
  using namespace std::chrono;
  const year_month_day date{year{parts.year}, month{static_cast<unsigned>(parts.month + 1)},
                            day{static_cast<unsigned>(parts.day)}};
  // 60 is a leap second.
  if (!date.ok() || parts.hour > 23 || parts.minute > 59 || parts.second > 60) return std::nullopt;
  const sys_seconds point = sys_days(date) + hours(parts.hour) + minutes(parts.minute) + seconds(parts.second);
  return point.time_since_epoch().count();
}

int year_of(std::time_t time) {
  using namespace std::chrono;
  return static_cast<int>(year_month_day(floor<days>(to_point(std::clamp(time, kEarliest, kLatest)))).year());
}

}  // namespace

std::string format_date(std::time_t time) {
  using namespace std::chrono;
  const sys_seconds point = to_point(std::clamp(time, kEarliest, kLatest));
  const sys_days day = floor<days>(point);
  const year_month_day date{day};
  const hh_mm_ss clock{point - day};
  std::string text;
  text.reserve(29);
  text += kDays.at(weekday(day).c_encoding());
  text += ", ";
  append_number(text, static_cast<int>(static_cast<unsigned>(date.day())), 2);
  text += ' ';
  text += kMonths.at(static_cast<unsigned>(date.month()) - 1);
  text += ' ';
  append_number(text, static_cast<int>(date.year()), 4);
  text += ' ';
  append_number(text, static_cast<int>(clock.hours().count()), 2);
  text += ':';
  append_number(text, static_cast<int>(clock.minutes().count()), 2);
  text += ':';
  append_number(text, static_cast<int>(clock.seconds().count()), 2);
  text += " GMT";
  return text;
}

std::string_view cached_date(std::time_t time) {
  static thread_local std::time_t made_for = 0;
  static thread_local std::string text;
  if (text.empty() || made_for != time) {
    text = format_date(time);
    made_for = time;
  }
  return text;
}

std::optional<std::time_t> parse_date(std::string_view text, std::time_t now) {
  std::optional<DateParts> parts = scan_fixed(text);
  if (!parts) parts = scan_rfc850(text, year_of(now));
  if (!parts) parts = scan_asctime(text);
  return parts ? to_time(*parts) : std::nullopt;
}

}  // namespace prong::http
