#include "os/unique_fd.hpp"

#include <unistd.h>

#include <cerrno>

namespace prong::os {

void UniqueFd::exchange(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  note_given_up(old);
  const int saved = errno;
  // The result says nothing useful: Linux releases the descriptor even when close() fails (close(2), EINTR and EIO).
  (void)::close(old);
  errno = saved;
}

}  // namespace prong::os
