// The same answer to every request: for maintenance pages, health checks, and for measuring what the server itself
// costs.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "http/handler.hpp"

namespace prong::app {

struct RespondSettings {
  std::uint16_t status = 200;
  // Names are tokens, not those that the session writes itself; values have no CR, LF or NUL (config/check.cpp).
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};  // empty if the status forbids one
};

class Respond final : public http::Handler {
 public:
  using Settings = RespondSettings;

  // A body without a Content-Type of its own is plain text.
  explicit Respond(Settings settings);

  // Never blocks and never allocates: it is what the speed of the rest is measured with. The answer borrows from this.
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override { return {.held = 0, .per_answer = 0}; }

 private:
  std::uint16_t status_;
  std::string headers_;  // as they are sent
  std::string body_;
};

}  // namespace prong::app
