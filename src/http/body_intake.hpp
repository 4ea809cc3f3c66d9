// Where the bytes of a request's body go while they arrive: to the application's RequestBody, or nowhere.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "http/limits.hpp"
#include "http/request_body.hpp"

namespace prong::http {

struct BodyIntake {
  explicit BodyIntake(const Limits* limits_of_session) : limits(limits_of_session) {}

  const Limits* limits;
  std::uint64_t size = 0;                // of the data so far, kept or not
  std::optional<RequestBody> kept = {};  // nothing: the data is dropped
  std::optional<Error> failure = {};     // why it could not be kept

  // How many bytes it may have.
  [[nodiscard]] std::uint64_t most() const {
    return kept ? limits->max_body.bytes : std::min(limits->max_body.bytes, limits->max_dropped_body.bytes);
  }
  // Whether that many bytes more would be too many.
  [[nodiscard]] bool is_too_much(std::uint64_t more) const { return size > most() || more > most() - size; }

  void take(std::span<const char> bytes) {
    size += bytes.size();
    // What is too large is refused, and a body that is not whole is of no use.
    if (!kept || failure || size > most()) return;
    auto done = kept->append(bytes, static_cast<std::size_t>(limits->body_buffer.bytes), limits->body_dir);
    if (!done) failure = std::move(done.error());
  }
};

}  // namespace prong::http
