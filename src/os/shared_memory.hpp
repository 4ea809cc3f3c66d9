// A piece of memory that two processes share, behind a descriptor (memfd) so that it survives an exec as well as a
// fork.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

class SharedMemory {
 public:
  // Zero-filled. `name` shows in /proc/PID/maps. Whoever has the descriptor can never change its size: touching what is
  // beyond the end of a file would be a SIGBUS.
  [[nodiscard]] static Result<SharedMemory> create(const char* name, std::size_t size);

  // The one behind a descriptor that was inherited; takes it over, also on failure. An error when it is smaller.
  [[nodiscard]] static Result<SharedMemory> open(UniqueFd fd, std::size_t size);

  SharedMemory(SharedMemory&& other) noexcept
      : fd_(std::move(other.fd_)), bytes_(std::exchange(other.bytes_, std::span<std::byte>{})) {}
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory() { unmap(); }

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  // The descriptor goes, the memory stays.
  [[nodiscard]] UniqueFd take_descriptor() { return std::move(fd_); }
  // What this process forks does not have the memory, and no fork is dearer for it (madvise(2), MADV_DONTFORK).
  [[nodiscard]] Result<void> keep_from_children();

 private:
  SharedMemory(UniqueFd fd, std::span<std::byte> bytes) : fd_(std::move(fd)), bytes_(bytes) {}
  void unmap() noexcept;
  UniqueFd fd_;
  std::span<std::byte> bytes_;
};

}  // namespace prong::os
