// What kind of character a byte is, in ASCII. Not <cctype>: that asks the locale, and knows no negative char.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace prong {

[[nodiscard]] constexpr bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}
[[nodiscard]] constexpr bool is_letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

// 0 to 15; nothing: it is no hexadecimal digit.
[[nodiscard]] constexpr std::optional<unsigned> hex_value(char digit) {
  if (is_digit(digit)) return static_cast<unsigned>(digit - '0');
  if (digit >= 'a' && digit <= 'f') return static_cast<unsigned>(digit - 'a') + 10;
  if (digit >= 'A' && digit <= 'F') return static_cast<unsigned>(digit - 'A') + 10;
  return std::nullopt;
}

// Tables, because each byte of each header of an answer is looked up.
class ByteSet {
 public:
  template <class Belongs>
  constexpr explicit ByteSet(Belongs belongs) {
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte) bytes_[byte] = belongs(static_cast<char>(byte));
  }
  // It has an entry for each byte. NOLINTNEXTLINE(cppcoreguidelines-pro-bounds-constant-array-index)
  [[nodiscard]] constexpr bool contains(char byte) const { return bytes_[static_cast<unsigned char>(byte)]; }

 private:
  std::array<bool, 256> bytes_ = {};
};

inline constexpr ByteSet kTokenBytes{
    [](char byte) { return is_letter(byte) || is_digit(byte) || std::string_view("!#$%&'*+-.^_`|~").contains(byte); }};
inline constexpr ByteSet kControlBytes{
    [](char byte) { return byte != '\t' && (static_cast<unsigned char>(byte) < ' ' || byte == '\x7f'); }};

// RFC 9110 section 5.6.2: a method, the name of a header.
[[nodiscard]] constexpr bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char byte) { return kTokenBytes.contains(byte); });
}
// A control character that is no tab: what the value of a header cannot have (RFC 9110 section 5.5).
[[nodiscard]] constexpr bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char byte) { return kControlBytes.contains(byte); });
}

}  // namespace prong
