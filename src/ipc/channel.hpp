// The private socket pair between the master and one worker: packets, in order, and an end of file that tells each
// side that the other is gone.
#pragma once

#include <optional>
#include <utility>

#include "base/error.hpp"
#include "ipc/messages.hpp"
#include "os/unique_fd.hpp"

namespace prong::ipc {

class Channel {
 public:
  Channel() = default;
  explicit Channel(os::UniqueFd fd) : fd_(std::move(fd)) {}

  // Two connected ends, non-blocking, CLOEXEC: the master's, the worker's.
  [[nodiscard]] static Result<std::pair<Channel, Channel>> create_pair();

  // Does not block. An error when the other side is gone or does not read (EAGAIN): the message is lost, and what
  // depends on it has a deadline. `fd` goes along as a copy and stays the caller's.
  [[nodiscard]] Result<void> send(const Message& message, int fd = -1) const;

  enum class Kind : unsigned char { kMessage, kNothing, kEnd, kGarbage };
  struct Received {
    Kind kind = Kind::kNothing;
    Message message = {};
    os::UniqueFd fd = {};
  };
  // The next message, if there is one. Does not block.
  [[nodiscard]] Received receive() const;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }
  void close() { fd_.reset(); }
  [[nodiscard]] os::UniqueFd take() { return std::move(fd_); }

 private:
  os::UniqueFd fd_;
};

}  // namespace prong::ipc
