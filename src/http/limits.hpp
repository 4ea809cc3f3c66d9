// What a session may spend on one client. Times are not here: they are kept by whoever owns the connection, from what
// Session::phase() says.
#pragma once

#include <cstddef>

#include "base/units.hpp"

namespace prong::http {

struct Limits {
  ByteSize max_header = {32U << 10U};  // request line and fields together; beyond it 414 (still in the line) or 431
  std::size_t max_fields = 256;        // fields of one head; beyond it 431
  // A body that no application asked for is read and dropped, so that the connection stays usable; beyond this it is
  // answered with 413 and the connection closed.
  ByteSize max_dropped_body = {1U << 20U};
  bool server_header = true;  // whether answers carry `Server: prongd`
};

}  // namespace prong::http
