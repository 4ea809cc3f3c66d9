// Conditional requests (RFC 9110 section 13): whether the client has what it asks for already.
#pragma once

#include <cstdint>
#include <ctime>
#include <string_view>

#include "http/headers.hpp"

namespace prong::app {

// What distinguishes one state of a file from another.
struct Validators {
  std::string_view etag;     // strong, with its quotes
  std::time_t modified = 0;  // seconds since 1970, not later than now
};

// For GET and HEAD, in the order of section 13.2.2: 0 when the request is to be answered as if it had no condition, 304
// when the client's copy is good, 412 when a condition that it insists on does not hold. `now` is for dates that have a
// year of two digits.
[[nodiscard]] std::uint16_t check_conditions(const http::RequestHeaders& headers, const Validators& validators,
                                             std::time_t now);

}  // namespace prong::app
