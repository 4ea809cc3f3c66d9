#include "base/error.hpp"

#include <fmt/format.h>

#include <cstring>

namespace prong {

std::string Error::text() const {
  return hint.empty() ? message : fmt::format("{}; {}", message, hint);
}

std::string errno_text(int error_number) {
  // strerrordesc_np (glibc 2.32) returns a constant string: no buffer, no locale, safe in every thread.
  const char* text = strerrordesc_np(error_number);
  return text != nullptr ? text : fmt::format("error {}", error_number);
}

Error system_error(std::string_view action, int error_number) {
  return system_error(action, error_number, {});
}

Error system_error(std::string_view action, int error_number, std::string_view hint) {
  return Error{
      .message = fmt::format("{}: {}", action, errno_text(error_number)),
      .error_number = error_number,
      .hint = std::string{hint},
  };
}

std::unexpected<Error> failure(std::string_view message, std::string_view hint) {
  return std::unexpected{Error{.message = std::string{message}, .hint = std::string{hint}}};
}

std::unexpected<Error> failure(Error error) {
  return std::unexpected{std::move(error)};
}

std::unexpected<Error> failure(std::string_view context, Error error) {
  error.message = fmt::format("{}: {}", context, error.message);
  return std::unexpected{std::move(error)};
}

}  // namespace prong
