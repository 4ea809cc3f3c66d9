// Percent-decoding of what stands in a URL (RFC 3986 section 2.1).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace prong::app {

inline constexpr std::size_t kEscapeSize = 3;  // "%2F"

// The byte of the escape that a text begins with; nothing: it begins with none.
[[nodiscard]] std::optional<char> leading_escape(std::string_view text);

enum class Plus : std::uint8_t {
  kIsPlus,
  kIsSpace,  // of a query, as forms write it
};
// Appends the text decoded. An escape that is none stays as it is: for who has no way to refuse it, such as CGI (RFC
// 3875 section 4.1.5).
void append_decoded(std::string& into, std::string_view text, Plus plus);

}  // namespace prong::app
