// The head of one request: where its parts stand, and the rules of RFC 9110 and 9112 that the parser leaves to its
// user. What two servers may read in two ways is refused here, because that is how requests are smuggled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>
#include <vector>

#include "http/handler.hpp"
#include "http/headers.hpp"
#include "http/limits.hpp"

namespace prong::http {

// A part of the head's bytes.
struct Piece {
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

// What the parser found. Offsets count from the request's first byte.
struct RequestHead {
  Piece method = {};
  Piece target = {};
  std::vector<HeaderPosition> fields = {};  // of their names; check_head() adds the values
  std::uint32_t size = 0;                   // with the empty line
  std::uint8_t version_minor = 0;
  bool keep_alive = false;   // by the version and the Connection field; check_head() finds it
  bool chunked = false;      // the body comes in chunks
  std::uint64_t length = 0;  // else: the size of the body

  [[nodiscard]] bool has_body() const { return chunked || length > 0; }
};

struct CheckedHead {
  bool expects_continue = false;  // the client waits for 100 (Continue) before it sends the body
};

// Finds the fields' values and checks what can be checked in a whole head: that every byte between the parts is what
// the grammar says (one space, no white space before a colon, no folded line, CRLF everywhere), the form of the
// target, one valid Host, no transfer coding but a single `chunked`, only the expectation that is known, and no line
// that is too long. Takes out the fields whose names nobody shall see. The error is the status to refuse the request
// with.
[[nodiscard]] std::expected<CheckedHead, std::uint16_t> check_head(std::string_view bytes, RequestHead& head,
                                                                   const Limits& limits);

// uri-host [ ":" port ] of RFC 9110 section 7.2. An empty host is one: the client knows no name.
[[nodiscard]] bool is_valid_host(std::string_view host);

// The request of a head that was checked. Views into `bytes` and `head`.
[[nodiscard]] Request make_request(std::string_view bytes, const RequestHead& head);

}  // namespace prong::http
