// A request that outlives the bytes it was read from: for a handler that answers on another thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/handler.hpp"
#include "http/headers.hpp"
#include "http/request_body.hpp"

namespace prong::http {

class OwnedRequest {
 public:
  // Copies the head, and takes the body over if there is one.
  explicit OwnedRequest(const Request& request);

  // The views, and `body`, live as long as this stays where it is.
  [[nodiscard]] Request view();

 private:
  // The same bytes in our copy of the head; what was never in it is a constant (the path "/" of an empty one).
  [[nodiscard]] std::string_view moved(std::string_view part) const;

  std::string head_;
  std::vector<HeaderPosition> positions_;
  const char* original_;  // where the head began: only compared with, never read
  Request request_;       // its views are those of the original
  RequestBody body_ = {};
  bool has_body_;
};

}  // namespace prong::http
