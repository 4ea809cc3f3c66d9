// The time of a line in the three ways of writing it. A second is taken apart once for all lines of it, because
// localtime_r(3) alone costs more than the rest of a line.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace prong::log {

class AccessTime {
 public:
  using TimePoint = std::chrono::system_clock::time_point;

  // In the time zone of the system: "2026-02-03T04:05:06.789+01:00" (ISO 8601).
  void append_iso(std::string& line, TimePoint time);
  // In the time zone of the system, as Apache's and nginx's logs have it: "03/Feb/2026:04:05:06 +0100".
  void append_common(std::string& line, TimePoint time);
  // "1770087906.789"
  static void append_unix(std::string& line, TimePoint time);

 private:
  void take_apart(std::int64_t second);

  std::int64_t second_ = -1;  // of the texts
  std::string date_ = {};     // of ISO 8601, up to the second
  std::string zone_ = {};     // of ISO 8601
  std::string common_ = {};
};

}  // namespace prong::log
