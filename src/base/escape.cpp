#include "base/escape.hpp"

#include <fmt/format.h>

#include <iterator>

namespace prong {

std::string escaped(std::string_view bytes, std::size_t most_bytes, Quotes quotes) {
  std::string text;
  const std::string_view shown = bytes.substr(0, most_bytes);
  text.reserve(shown.size());
  for (const char c : shown) {
    switch (c) {
      case '"':
        text += quotes == Quotes::kEscape ? "\\\"" : "\"";
        break;
      case '\\':
        text += "\\\\";
        break;
      case '\n':
        text += "\\n";
        break;
      case '\r':
        text += "\\r";
        break;
      case '\t':
        text += "\\t";
        break;
      default:
        if (c >= ' ' && c <= '~')
          text += c;
        else
          fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (shown.size() < bytes.size()) text += "...";
  return text;
}

}  // namespace prong
