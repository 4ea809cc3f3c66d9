// Answers as bytes: the head that goes before a body, and the short page that goes with an error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/handler.hpp"

namespace prong::http {

// What the session knows about an answer and its handler does not.
struct HeadFields {
  std::string_view date = {};                        // the Date field's value
  bool server = true;                                // whether to say `Server: prongd`
  std::optional<std::uint64_t> content_length = {};  // nothing: the answer cannot have a body, or see chunked
  bool chunked = false;                              // the body comes in chunks
  std::string_view connection = {};                  // the Connection field's value; empty: none
};

// Appends the status line, all fields and the empty line.
void append_head(std::string& text, const Response& response, const HeadFields& fields);

// Nothing: nobody knows it before the end.
[[nodiscard]] std::optional<std::uint64_t> body_size(const Response& response);

// An answer with that status and a page that says only its name: what went wrong inside is not the client's business.
[[nodiscard]] Response error_response(std::uint16_t status);

}  // namespace prong::http
