// Status codes and their reason phrases (IANA's registry of HTTP status codes).
#pragma once

#include <cstdint>
#include <string_view>

namespace prong::http {

// "Not Found"; "Unknown" for a code that is not registered.
[[nodiscard]] std::string_view reason_phrase(std::uint16_t status);

// RFC 9110 sections 6.4.1, 15.2: answers with these codes never have a body.
[[nodiscard]] constexpr bool forbids_body(std::uint16_t status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace prong::http
