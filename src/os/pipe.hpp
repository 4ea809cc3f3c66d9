// Pipes from a program that does not know us to us: its end blocks, ours does not.
#pragma once

#include <span>

#include "base/error.hpp"
#include "os/socket.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

// Both CLOEXEC. The reader is non-blocking; the writer blocks when the pipe is full, as every program expects of its
// standard error.
struct Pipe {
  UniqueFd reader;
  UniqueFd writer;
};
[[nodiscard]] Result<Pipe> make_pipe();

// What one read(2) gives; `end` when nobody holds the writer any more.
[[nodiscard]] IoResult read_pipe(int fd, std::span<char> buffer);

}  // namespace prong::os
