#include "os/event_fd.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace prong::os {

Result<EventFd> EventFd::create() {
  UniqueFd fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  if (!fd.valid()) return failure(system_error("cannot make an eventfd", errno));
  return EventFd{std::move(fd)};
}

void EventFd::signal() const {
  constexpr std::uint64_t kOne = 1;
  // EAGAIN: it has been signalled 2^64 - 2 times already, and is readable.
  (void)(::write(fd_.get(), &kOne, sizeof kOne) == sizeof kOne);
}

bool EventFd::take() const {
  std::uint64_t count = 0;
  return ::read(fd_.get(), &count, sizeof count) == sizeof count;
}

}  // namespace prong::os
