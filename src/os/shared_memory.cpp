#include "os/shared_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace prong::os {

Result<SharedMemory> SharedMemory::create(const char* name, std::size_t size) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd.valid()) return failure(system_error("cannot create shared memory", errno));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return failure(system_error("cannot size shared memory", errno));
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    return failure(system_error("cannot seal shared memory", errno));
  return open(std::move(fd), size);
}

Result<SharedMemory> SharedMemory::open(UniqueFd fd, std::size_t size) {
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0) return failure(system_error("cannot look at shared memory", errno));
  // Touching what is beyond its end would be a SIGBUS.
  if (static_cast<std::size_t>(status.st_size) < size) return failure("the shared memory is smaller than it should be");
  void* address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return failure(system_error("cannot map shared memory", errno));
  return SharedMemory{std::move(fd), std::span{static_cast<std::byte*>(address), size}};
}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  fd_ = std::move(other.fd_);
  bytes_ = std::exchange(other.bytes_, std::span<std::byte>{});
  return *this;
}

Result<void> SharedMemory::keep_from_children() {
  if (::madvise(bytes_.data(), bytes_.size(), MADV_DONTFORK) != 0)
    return failure(system_error("cannot keep shared memory from children", errno));
  return {};
}

void SharedMemory::unmap() noexcept {
  if (!bytes_.empty()) (void)::munmap(bytes_.data(), bytes_.size());  // fails only for addresses that were never mapped
}

}  // namespace prong::os
