// Dates as HTTP writes them (RFC 9110 section 5.6.7), always in UTC and in English, whatever the locale says.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace prong::http {

// "Sun, 06 Nov 1994 08:49:37 GMT". Seconds since 1970; years 1 to 9999, beyond them the nearest that fits.
[[nodiscard]] std::string format_date(std::time_t time);

// The same, made once a second for each thread. Lives until the thread's next call.
[[nodiscard]] std::string_view cached_date(std::time_t time);

// The form above and the two old ones, "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994". Nothing for
// all else. A year of two digits is taken as the nearest that is not more than 50 years after `now`.
[[nodiscard]] std::optional<std::time_t> parse_date(std::string_view text, std::time_t now);

}  // namespace prong::http
