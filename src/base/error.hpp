// How prongd says that something failed: an Error is a value that travels up with context until it is logged once.
//
// Not for bugs (assert) and not for what the world may normally do, such as "no data yet" (the wrapper's own type
// says that).
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace prong {

struct Error {
  // Action, object, reason: `cannot bind "[::]:80": Permission denied`. Lower case, no full stop.
  std::string message;
  // The errno of the system call that failed, or 0 if none did.
  int error_number = 0;
  // What the operator can do about it; may be empty. Shown apart from the message.
  std::string hint = {};

  // Message and hint in one line: `message; hint`.
  [[nodiscard]] std::string text() const;
};

template <class T>
using Result = std::expected<T, Error>;

// A failed system call: `action: strerror(error_number)`. Pass errno at once, before anything else can change it.
[[nodiscard]] Error system_error(std::string_view action, int error_number);
[[nodiscard]] Error system_error(std::string_view action, int error_number, std::string_view hint);

// For `return failure("...")` in a function that returns a Result.
[[nodiscard]] std::unexpected<Error> failure(std::string_view message, std::string_view hint = {});
[[nodiscard]] std::unexpected<Error> failure(Error error);
// The same error, with what was being done put before it: `context: message`.
[[nodiscard]] std::unexpected<Error> failure(std::string_view context, Error error);

// The text of an errno value, thread-safe: "Permission denied".
[[nodiscard]] std::string errno_text(int error_number);

}  // namespace prong
