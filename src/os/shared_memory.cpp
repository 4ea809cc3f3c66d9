#include "os/shared_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace prong::os {

Result<SharedMemory> SharedMemory::create(const char* name, std::size_t size) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC)};
  if (!fd.valid()) return failure(system_error("cannot create shared memory", errno));
  if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0)
    return failure(system_error("cannot size shared memory", errno));
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

void SharedMemory::unmap() noexcept {
  if (!bytes_.empty()) (void)::munmap(bytes_.data(), bytes_.size());  // fails only for addresses that were never mapped
}

}  // namespace prong::os
