// The receiving end of the protocol of sd_notify(3), for one program: what systemd gives a service, we give a program
// of an exec pool. (The sending end is os/systemd.)
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

class NotifySocket {
 public:
  NotifySocket() = default;
  // An abstract AF_UNIX datagram socket with a name that the kernel chooses (unix(7), autobind): nothing to clean up.
  // Everybody on the machine can write to it, so each datagram carries who did.
  [[nodiscard]] static Result<NotifySocket> create();

  // "@00a1f", the value of NOTIFY_SOCKET.
  [[nodiscard]] const std::string& address() const { return address_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }

  struct Datagram {
    std::optional<uid_t> sender;  // nothing: the kernel did not say
    std::string text;             // empty when it was longer than kLargest
  };
  static constexpr std::size_t kLargest = 4096;
  // The next datagram; nothing when none waits. Descriptors that come along are closed by the kernel. Does not block.
  [[nodiscard]] std::optional<Datagram> receive() const;

 private:
  NotifySocket(UniqueFd fd, std::string address) : fd_(std::move(fd)), address_(std::move(address)) {}
  UniqueFd fd_;
  std::string address_;
};

}  // namespace prong::os
