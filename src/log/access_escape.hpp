// Client bytes in a line of an access log, so that no value can end its line, its column or its JSON string.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace prong::log {

// The bytes that must not stand in a line as they are.
class EscapeSet {
 public:
  // Backslash, double quote, control bytes and all from 0x7f on: between double quotes.
  [[nodiscard]] static constexpr EscapeSet quoted() {
    EscapeSet set;
    for (unsigned byte = 0; byte < 256; ++byte)
      if (byte < 0x20 || byte >= 0x7F || byte == '"' || byte == '\\') set.add(static_cast<char>(byte));
    return set;
  }
  // And blanks: outside of quotes.
  [[nodiscard]] static constexpr EscapeSet bare() {
    EscapeSet set = quoted();
    set.add(' ');
    return set;
  }

  constexpr void add(char byte) { bytes_[static_cast<unsigned char>(byte)] = true; }
  [[nodiscard]] constexpr bool contains(char byte) const { return bytes_[static_cast<unsigned char>(byte)]; }

 private:
  std::array<bool, 256> bytes_ = {};
};

// Appends `value`: a backslash of the set as `\\`, a double quote as `\"` when the value stands in quotes, every other
// byte of the set as \xHH with lower-case digits.
void append_quoted(std::string& line, std::string_view value);
void append_bare(std::string& line, std::string_view value, const EscapeSet& set);

// Appends `value` as the inside of a JSON string, all of it ASCII: `"` and `\` with a backslash, everything else
// outside of 0x20 to 0x7e as \uXXXX of its code point in UTF-16. Each byte that is no part of valid UTF-8 becomes
// \ufffd.
void append_json(std::string& line, std::string_view value);

}  // namespace prong::log
