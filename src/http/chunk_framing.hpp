// What stands between the data of a chunked body: sizes, extensions, trailers. llhttp reads them with some patience;
// here the bytes are held to the letter of RFC 9112 section 7.1, because what a proxy in front of us takes for the end
// of a line, and we do not, is how a request is smuggled in a body.
#pragma once

#include <cstdint>
#include <string_view>

namespace prong::http {

class ChunkFraming {
 public:
  // Takes the next bytes that are no data, where `data` bytes of data have come so far. The status to refuse the
  // request with, or 0: 400 for a CR or LF that is not in a CRLF, another control byte, or a line that begins with
  // white space (a folded trailer); 413 for far more framing than data.
  [[nodiscard]] std::uint16_t check(std::string_view bytes, std::uint64_t data);

 private:
  std::uint64_t size_ = 0;
  char last_ = '\0';
};

}  // namespace prong::http
