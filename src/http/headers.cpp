#include "http/headers.hpp"

#include <algorithm>

namespace prong::http {
namespace {

char lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
}

void append_clean(std::string& text, std::string_view value) {
  const std::size_t begin = text.size();
  text += value;
  for (std::size_t i = begin; i < text.size(); ++i)
    if (text[i] == '\r' || text[i] == '\n' || text[i] == '\0') text[i] = ' ';
}

}  // namespace

bool equals_ignoring_case(std::string_view left, std::string_view right) {
  return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(),
                                                   [](char a, char b) { return a == b || lower(a) == lower(b); });
}

Header RequestHeaders::operator[](std::size_t index) const {
  const HeaderPosition& at = positions_[index];
  return {.name = head_.substr(at.name_offset, at.name_size), .value = head_.substr(at.value_offset, at.value_size)};
}

std::optional<std::string_view> RequestHeaders::find(std::string_view name) const {
  for (std::size_t i = 0; i < size(); ++i)
    if (const Header header = (*this)[i]; equals_ignoring_case(header.name, name)) return header.value;
  return std::nullopt;
}

void ResponseHeaders::add(std::string_view name, std::string_view value) {
  own();
  append_clean(text_, name);
  text_ += ": ";
  append_clean(text_, value);
  text_ += "\r\n";
}

std::optional<std::string_view> ResponseHeaders::find(std::string_view name) const {
  std::string_view rest = text();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find("\r\n"));
    const std::size_t colon = line.find(": ");
    if (equals_ignoring_case(line.substr(0, colon), name)) return line.substr(colon + 2);
    rest.remove_prefix(line.size() + 2);
  }
  return std::nullopt;
}

}  // namespace prong::http
