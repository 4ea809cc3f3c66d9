// What the operator is told of a request that its handler could not answer.
#pragma once

#include <string>
#include <string_view>

#include "http/handler.hpp"

namespace prong::http {

// "WHAT, in GET /path": the first 1000 bytes of what the handler said, and 200 of the target, as they came. Who prints
// it escapes it.
[[nodiscard]] std::string failure_text(const Request& request, std::string_view what);

}  // namespace prong::http
