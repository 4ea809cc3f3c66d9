#include "log/access_time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace prong::log {
namespace {

using std::chrono::milliseconds;

// Years of four digits from 1970 on: a clock that says something else is wrong, and its lines stay well formed.
constexpr std::int64_t kLastSecond = 253'402'214'400;  // 9999-12-31T00:00:00Z

struct Split {
  std::int64_t second = 0;
  unsigned millisecond = 0;
};

Split split(AccessTime::TimePoint time) {
  const auto since = std::chrono::floor<milliseconds>(time.time_since_epoch()).count();
  const std::int64_t clamped = std::clamp<std::int64_t>(since, 0, kLastSecond * 1000 + 999);
  return {.second = clamped / 1000, .millisecond = static_cast<unsigned>(clamped % 1000)};
}

void append_millisecond(std::string& line, unsigned millisecond) {
  const std::array<char, 4> text{'.', static_cast<char>('0' + millisecond / 100),
                                 static_cast<char>('0' + millisecond / 10 % 10),
                                 static_cast<char>('0' + millisecond % 10)};
  line.append(text.data(), text.size());
}

}  // namespace

void AccessTime::take_apart(std::int64_t second) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto seconds = static_cast<std::time_t>(second);
  std::tm parts{};
  // It can fail only for years that do not fit an int.
  if (::localtime_r(&seconds, &parts) == nullptr) parts.tm_mday = 1;
  const long offset = std::abs(parts.tm_gmtoff) / 60;
  const char sign = parts.tm_gmtoff < 0 ? '-' : '+';
  const int year = parts.tm_year + 1900;
  date_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", year, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                      parts.tm_min, parts.tm_sec);
  zone_ = fmt::format("{}{:02}:{:02}", sign, offset / 60, offset % 60);
  common_ = fmt::format("{:02}/{}/{:04}:{:02}:{:02}:{:02} {}{:02}{:02}", parts.tm_mday,
                        kMonths.at(static_cast<std::size_t>(parts.tm_mon)), year, parts.tm_hour, parts.tm_min,
                        parts.tm_sec, sign, offset / 60, offset % 60);
  second_ = second;
}

void AccessTime::append_iso(std::string& line, TimePoint time) {
  const auto [second, millisecond] = split(time);
  if (second != second_) take_apart(second);
  line += date_;
  append_millisecond(line, millisecond);
  line += zone_;
}

void AccessTime::append_common(std::string& line, TimePoint time) {
  const std::int64_t second = split(time).second;
  if (second != second_) take_apart(second);
  line += common_;
}

void AccessTime::append_unix(std::string& line, TimePoint time) {
  const auto [second, millisecond] = split(time);
  line += fmt::format_int(second).c_str();
  append_millisecond(line, millisecond);
}

}  // namespace prong::log
