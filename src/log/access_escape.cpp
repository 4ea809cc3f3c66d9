#include "log/access_escape.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace prong::log {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

void append_hex(std::string& line, char byte) {
  const auto value = static_cast<unsigned char>(byte);
  line += "\\x";
  line += kDigits[value >> 4U];
  line += kDigits[value & 0xFU];
}

bool is_plain_in_json(char byte) {
  return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\';
}

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t size = 0;  // in bytes; 0: no valid UTF-8 begins here
};

// The code point that `bytes`, not empty, begins with: RFC 3629 section 4, without overlong forms and surrogates.
CodePoint decode(std::string_view bytes) {
  const auto byte = [bytes](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(bytes[i])}; };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  std::size_t size = first >= 0xE0 ? 3 : 2;
  if (first >= 0xF0) size = 4;
  if (first < 0xC2 || first > 0xF4 || bytes.size() < size) return {};
  std::uint32_t value = first & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {};
    value = value << 6U | (byte(i) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  if (value < kLeast.at(size) || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {value, size};
}

void append_unit(std::string& line, std::uint32_t unit) {
  line += "\\u";
  for (unsigned shift = 16; shift > 0; shift -= 4) line += kDigits[(unit >> (shift - 4)) & 0xFU];
}

void append_code_point(std::string& line, std::uint32_t value) {
  if (value < 0x10000) return append_unit(line, value);
  const std::uint32_t rest = value - 0x10000;
  append_unit(line, 0xD800U | rest >> 10U);
  append_unit(line, 0xDC00U | (rest & 0x3FFU));
}

}  // namespace

void append_quoted(std::string& line, std::string_view value) {
  static constexpr EscapeSet kSet = EscapeSet::quoted();
  std::size_t begin = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!kSet.contains(value[i])) continue;
    line.append(value, begin, i - begin);
    begin = i + 1;
    if (value[i] == '"')
      line += "\\\"";
    else if (value[i] == '\\')
      line += "\\\\";
    else
      append_hex(line, value[i]);
  }
  line.append(value, begin);
}

void append_bare(std::string& line, std::string_view value, const EscapeSet& set) {
  std::size_t begin = 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!set.contains(value[i])) continue;
    line.append(value, begin, i - begin);
    begin = i + 1;
    if (value[i] == '\\')
      line += "\\\\";
    else
      append_hex(line, value[i]);
  }
  line.append(value, begin);
}

void append_json(std::string& line, std::string_view value) {
  constexpr std::uint32_t kReplacement = 0xFFFD;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < value.size();) {
    if (is_plain_in_json(value[i])) {
      ++i;
      continue;
    }
    line.append(value, begin, i - begin);
    if (value[i] == '"' || value[i] == '\\') {
      line += '\\';
      line += value[i++];
    } else {
      const CodePoint found = decode(value.substr(i));
      append_code_point(line, found.size > 0 ? found.value : kReplacement);
      i += found.size > 0 ? found.size : 1;
    }
    begin = i;
  }
  line.append(value, begin);
}

}  // namespace prong::log
