// epoll(7), and nothing on top of it. Never used across a fork: a child makes its own (an inherited epoll would see
// the parent's descriptors and miss the child's own signals, facts.md).
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

class Epoll {
 public:
  [[nodiscard]] static Result<Epoll> create();

  // events: EPOLLIN | EPOLLOUT | EPOLLEXCLUSIVE ...; key comes back in epoll_event.data.u64.
  [[nodiscard]] Result<void> add(int fd, std::uint32_t events, std::uint64_t key);
  [[nodiscard]] Result<void> modify(int fd, std::uint32_t events, std::uint64_t key);
  // A descriptor that is not in the set is no error: the caller wants it gone.
  void remove(int fd);

  // Blocks until an event or the timeout (nothing: for ever). A signal that interrupts gives an empty span. The
  // timeout is rounded up to whole milliseconds, so that a deadline has passed when it ends.
  [[nodiscard]] Result<std::span<epoll_event>> wait(std::span<epoll_event> events,
                                                    std::optional<std::chrono::nanoseconds> timeout);

  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit Epoll(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace prong::os
