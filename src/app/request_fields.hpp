// The fields of a request that matter to a file, found in one look over all of them: most requests have none.
#pragma once

#include <optional>
#include <string_view>

#include "http/headers.hpp"

namespace prong::app {

struct RequestFields {
  bool conditional = false;  // If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since
  bool accept_encoding = false;
  std::optional<std::string_view> range = {};  // nothing also when there are several, which no client sends
  std::optional<std::string_view> if_range = {};
};

[[nodiscard]] RequestFields find_fields(const http::RequestHeaders& headers);

}  // namespace prong::app
