#include "os/epoll.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

namespace prong::os {
namespace {

Result<void> control(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  if (::epoll_ctl(epoll, operation, fd, &event) != 0) return failure(system_error("cannot watch a descriptor", errno));
  return {};
}

int to_timeout(std::optional<std::chrono::nanoseconds> timeout) {
  if (!timeout) return -1;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*timeout).count();
  return static_cast<int>(std::clamp<long>(ms, 0, std::numeric_limits<int>::max()));
}

}  // namespace

Result<Epoll> Epoll::create() {
  UniqueFd fd{::epoll_create1(EPOLL_CLOEXEC)};
  if (!fd.valid()) return failure(system_error("cannot create an epoll instance", errno));
  return Epoll{std::move(fd)};
}

Result<void> Epoll::add(int fd, std::uint32_t events, std::uint64_t key) {
  return control(fd_.get(), EPOLL_CTL_ADD, fd, events, key);
}

Result<void> Epoll::modify(int fd, std::uint32_t events, std::uint64_t key) {
  return control(fd_.get(), EPOLL_CTL_MOD, fd, events, key);
}

void Epoll::remove(int fd) {
  // ENOENT and EBADF mean that it is gone already, which is what was asked for.
  (void)::epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

Result<std::span<epoll_event>> Epoll::wait(std::span<epoll_event> events,
                                           std::optional<std::chrono::nanoseconds> timeout) {
  const int count = ::epoll_wait(fd_.get(), events.data(), static_cast<int>(events.size()), to_timeout(timeout));
  if (count >= 0) return events.first(static_cast<std::size_t>(count));
  if (errno == EINTR) return events.first(0);
  return failure(system_error("cannot wait for events", errno));
}

}  // namespace prong::os
