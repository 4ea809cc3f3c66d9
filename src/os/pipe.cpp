#include "os/pipe.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace prong::os {

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failure(system_error("cannot create a pipe", errno));
  Pipe pipe{.reader = UniqueFd{ends[0]}, .writer = UniqueFd{ends[1]}};
  if (::fcntl(pipe.reader.get(), F_SETFL, O_NONBLOCK) != 0)
    return failure(system_error("cannot make a pipe non-blocking", errno));
  return pipe;
}

IoResult read_pipe(int fd, std::span<char> buffer) {
  IoResult result;
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  if (count > 0)
    result.bytes = static_cast<std::size_t>(count);
  else if (count == 0)
    result.end = true;
  else if (errno == EAGAIN)
    result.would_block = true;
  else
    result.error = errno;
  return result;
}

}  // namespace prong::os
