// eventfd(2): a descriptor that becomes readable when somebody says so, in this process or in one that inherited it.
#pragma once

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

class EventFd {
 public:
  // Non-blocking, CLOEXEC, and silent.
  [[nodiscard]] static Result<EventFd> create();
  // One that was inherited.
  explicit EventFd(UniqueFd fd) : fd_(std::move(fd)) {}

  // Makes it readable until the next take(). Any thread, any process.
  void signal() const;
  // Whether it was signalled since the last take(), by anybody; of several who ask, one hears it.
  [[nodiscard]] bool take() const;
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }

 private:
  UniqueFd fd_;
};

}  // namespace prong::os
