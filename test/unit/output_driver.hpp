// What a connection does to a conversation's output, without a socket.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "net/output.hpp"

namespace prong::test {

// Takes up to `most` bytes of what waits, as send(2) and sendfile(2) would.
inline std::string take(net::Output& output, std::size_t most) {
  std::string taken;
  while (!output.empty() && taken.size() < most) {
    const std::size_t room = most - taken.size();
    if (output.front_is_file()) {
      const net::FileBody& file = output.file();
      std::string part(std::min<std::uint64_t>(room, file.size), '\0');
      const ssize_t size = ::pread(file.file->get(), part.data(), part.size(), static_cast<off_t>(file.offset));
      if (size <= 0) throw std::runtime_error("a file of the output has ended");
      taken.append(part, 0, static_cast<std::size_t>(size));
      output.consume(static_cast<std::uint64_t>(size));
    } else {
      const std::string_view part = output.memory().substr(0, room);
      taken += part;
      output.consume(part.size());
    }
  }
  return taken;
}

}  // namespace prong::test
