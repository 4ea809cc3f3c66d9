// The one owner of a file descriptor. A parameter of type int borrows, a UniqueFd takes.
#pragma once

#include <utility>

#include "os/forked_children.hpp"

namespace prong::os {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) { note_owned(fd); }
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) exchange(std::exchange(other.fd_, -1));
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { reset(); }

  // The descriptor, or -1. Still owned here.
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  // Gives the descriptor up without closing it.
  [[nodiscard]] int release() {
    note_given_up(fd_);
    return std::exchange(fd_, -1);
  }
  // Closes what is owned, then owns fd. Leaves errno alone.
  void reset(int fd = -1) noexcept {
    note_owned(fd);
    exchange(fd);
  }

 private:
  void exchange(int fd) noexcept;
  int fd_ = -1;
};

}  // namespace prong::os
