#include "log/access_time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>

namespace prong::log {
namespace {

using std::chrono::milliseconds;

struct Split {
  std::int64_t second = 0;
  unsigned millisecond = 0;
};

Split split(AccessTime::TimePoint time) {
  // A clock before 1970 is wrong; its lines stay well formed. The other end of this clock is the year 2262.
  const auto since = std::max<std::int64_t>(std::chrono::floor<milliseconds>(time.time_since_epoch()).count(), 0);
  return {.second = since / 1000, .millisecond = static_cast<unsigned>(since % 1000)};
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
  (void)::localtime_r(&seconds, &parts);  // fails only for years that do not fit an int
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
