#include "app/percent.hpp"

#include "base/characters.hpp"

namespace prong::app {

std::optional<char> leading_escape(std::string_view text) {
  if (text.size() < kEscapeSize || text[0] != '%') return std::nullopt;
  const std::optional<unsigned> high = hex_value(text[1]);
  const std::optional<unsigned> low = hex_value(text[2]);
  if (!high || !low) return std::nullopt;
  return static_cast<char>(*high * 16 + *low);
}

void append_decoded(std::string& into, std::string_view text, Plus plus) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (const auto byte = leading_escape(text.substr(i))) {
      into += *byte;
      i += kEscapeSize - 1;
    } else {
      into += text[i] == '+' && plus == Plus::kIsSpace ? ' ' : text[i];
    }
  }
}

}  // namespace prong::app
