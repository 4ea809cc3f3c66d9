// Header fields: those of a request as views into the bytes that arrived, those of an answer as the very text that
// will be sent. Neither costs an allocation for each field, because both are made for every request.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace prong::http {

// One field of a request. The views live as long as the bytes of its head.
struct Header {
  std::string_view name;
  std::string_view value;  // without white space around it
};

// Where one field stands in the bytes of a head, from its first byte.
struct HeaderPosition {
  std::uint32_t name_offset = 0;
  std::uint32_t name_size = 0;
  std::uint32_t value_offset = 0;
  std::uint32_t value_size = 0;
};

// The fields of one request, in the order in which they came. Borrows everything.
class RequestHeaders {
 public:
  RequestHeaders() = default;
  RequestHeaders(std::string_view head, std::span<const HeaderPosition> positions)
      : head_(head), positions_(positions) {}

  [[nodiscard]] std::size_t size() const { return positions_.size(); }
  [[nodiscard]] Header operator[](std::size_t index) const;
  // The value of the first field of that name (compared without case), or nothing.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;

  // The bytes that all views point into, and where in them the fields stand.
  [[nodiscard]] std::string_view head() const { return head_; }
  [[nodiscard]] std::span<const HeaderPosition> positions() const { return positions_; }

 private:
  std::string_view head_;
  std::span<const HeaderPosition> positions_;
};

// The fields of an answer.
class ResponseHeaders {
 public:
  ResponseHeaders() = default;
  // Fields that were made before: lines as text() gives them, each with its CRLF. Borrowed: they must live until the
  // answer is handed to the session, which copies them; add() copies them too.
  [[nodiscard]] static ResponseHeaders borrowed(std::string_view lines) {
    ResponseHeaders headers;
    headers.borrowed_ = lines;
    return headers;
  }

  // Appends `name: value`. Bytes that would end the line (CR, LF, NUL) become spaces, so that no value, wherever it
  // came from, can add a field or end the head. Not for the fields that the session writes itself: Date, Server,
  // Content-Length, Transfer-Encoding, Connection.
  void add(std::string_view name, std::string_view value);
  // The value of the first field of that name (compared without case), or nothing. Lives until the next add().
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const;
  // None any more; keeps the memory.
  void clear() {
    text_.clear();
    borrowed_ = {};
  }
  // Copies what is borrowed, for an answer that outlives the call of its handler.
  void own() { text_ += std::exchange(borrowed_, {}); }
  // All fields as they are sent, each line with its CRLF.
  [[nodiscard]] std::string_view text() const { return borrowed_.empty() ? std::string_view(text_) : borrowed_; }

 private:
  std::string text_;
  std::string_view borrowed_;  // empty: the fields are in text_
};

// ASCII only, whatever the locale says.
[[nodiscard]] bool equals_ignoring_case(std::string_view left, std::string_view right);

}  // namespace prong::http
