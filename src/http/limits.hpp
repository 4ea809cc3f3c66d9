// What a session may spend on one client. Times are not here: they are kept by whoever owns the connection, from what
// Session::phase() says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/units.hpp"

namespace prong::http {

// What becomes of a field whose name has an underscore: a CGI-style environment writes '-' as '_', so that
// "X_Forwarded_For" of a client could pass for "X-Forwarded-For" of a proxy.
enum class UnderscoreNames : std::uint8_t { kDrop, kRefuse };

struct Limits {
  ByteSize max_request_line = {8U << 10U};  // beyond it 414
  ByteSize max_header_line = {16U << 10U};  // one field; beyond it 431
  ByteSize max_header = {32U << 10U};   // request line and fields together; beyond it 414 (still in the line) or 431
  std::size_t max_fields = 100;         // of one head; beyond it 431
  ByteSize max_body = {16U << 20U};     // beyond it 413
  ByteSize body_buffer = {64U << 10U};  // of a body that is kept: what stays in memory
  std::string body_dir = "/tmp";        // of the file for what is larger
  // A body that no application asked for is read and dropped, so that the connection stays usable; one that is larger
  // is not read: the connection ends with the answer.
  ByteSize max_dropped_body = {1U << 20U};
  ByteSize output_buffer = {64U << 10U};  // of an answer that is streamed: what waits in memory
  std::uint64_t max_requests = 100'000;   // on one connection; the last answer closes it
  UnderscoreNames underscore_names = UnderscoreNames::kDrop;
  bool server_header = true;  // whether answers carry `Server: prongd`
};

}  // namespace prong::http
