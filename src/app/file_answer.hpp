// What is said of a file that has been found: all of it, parts of it, or that the client has it already.
#pragma once

#include <cstdint>

#include "app/loaded_file.hpp"
#include "app/request_fields.hpp"
#include "http/handler.hpp"

namespace prong::app {

// For GET and HEAD. A status of 400 or more comes without a body, for which the caller has a page. Borrows from `file`,
// which must live until the answer is handed to the session.
[[nodiscard]] http::Response answer_with(const http::Request& request, const RequestFields& fields,
                                         const LoadedFile& file);

// All bytes of a file; by the same rule.
[[nodiscard]] http::Body whole_body(const LoadedFile& file);

}  // namespace prong::app
