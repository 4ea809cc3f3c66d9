// Lists that stand in header fields (RFC 9110 section 5.6.1), in one field or several of the same name.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "http/headers.hpp"

namespace prong::http {

// Whether the elements may have quoted strings, in which a comma is a byte like any other.
enum class QuotedStrings : bool { kNo, kYes };

// The elements of a list, the last one first, without white space around them. Empty ones are none. Read from the end:
// whatever stands before an element, quotes that are never closed too, changes nothing of it.
class ElementsFromEnd {
 public:
  // Borrows everything.
  ElementsFromEnd(const RequestHeaders& headers, std::string_view name, QuotedStrings quoted)
      : headers_(&headers), name_(name), fields_left_(headers.size()), quoted_(quoted) {}

  // Nothing: there are no more.
  [[nodiscard]] std::optional<std::string_view> next();

 private:
  [[nodiscard]] bool next_field();
  [[nodiscard]] std::size_t begin_of_last() const;

  const RequestHeaders* headers_;
  std::string_view name_;
  std::size_t fields_left_;     // that were not looked at, from the first one
  std::string_view rest_ = {};  // of the current field
  bool in_field_ = false;
  QuotedStrings quoted_;
};

// Blanks and tabs at both ends (OWS of RFC 9110 section 5.6.3).
[[nodiscard]] std::string_view without_white_space(std::string_view text);

}  // namespace prong::http
