#include "http/field_list.hpp"

namespace prong::http {
namespace {

bool is_white(char byte) {
  return byte == ' ' || byte == '\t';
}

// Of a byte inside of a quoted string (RFC 9110 section 5.6.4): whether an odd number of backslashes stands before it.
bool is_escaped(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && text[begin - 1] == '\\') --begin;
  return (at - begin) % 2 == 1;
}

}  // namespace

std::string_view without_white_space(std::string_view text) {
  while (!text.empty() && is_white(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_white(text.back())) text.remove_suffix(1);
  return text;
}

std::optional<std::string_view> ElementsFromEnd::next() {
  while (in_field_ || next_field()) {
    const std::size_t begin = begin_of_last();
    const std::string_view element = without_white_space(rest_.substr(begin));
    in_field_ = begin > 0;
    rest_ = rest_.substr(0, begin > 0 ? begin - 1 : 0);
    if (!element.empty()) return element;
  }
  return std::nullopt;
}

bool ElementsFromEnd::next_field() {
  while (fields_left_ > 0) {
    const Header field = (*headers_)[--fields_left_];
    if (!equals_ignoring_case(field.name, name_)) continue;
    rest_ = field.value;
    in_field_ = true;
    return true;
  }
  return false;
}

// Where the last element of the field begins: behind a comma, or at 0.
std::size_t ElementsFromEnd::begin_of_last() const {
  if (quoted_ == QuotedStrings::kNo) {
    const std::size_t comma = rest_.rfind(',');
    return comma == std::string_view::npos ? 0 : comma + 1;
  }
  bool in_quotes = false;
  for (std::size_t at = rest_.size(); at > 0; --at) {
    const char byte = rest_[at - 1];
    if (byte == '"' && !is_escaped(rest_, at - 1)) in_quotes = !in_quotes;
    if (byte == ',' && !in_quotes) return at;
  }
  return 0;
}

}  // namespace prong::http
