#include "worker/acceptor.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "log/log.hpp"

namespace prong::worker {
namespace {

// As many as nginx takes before it goes back to the end of the queue. Measured with 4 workers and short connections:
// the shares stay even (Jain's index 0.999 at 200/s and 1.000 at 3,000/s, `./dev bench accept`).
constexpr std::uint32_t kMostInARow = 16;

}  // namespace

Acceptor::Acceptor(os::Epoll& epoll, const std::vector<ipc::InheritedListener>& listeners, std::uint64_t first_key)
    : epoll_(&epoll), first_key_(first_key) {
  for (const ipc::InheritedListener& listener : listeners) {
    listeners_.push_back({.fd = os::UniqueFd{listener.fd}, .number = listener.number});
    addresses_.push_back(listener.address);
  }
}

bool Acceptor::is_passing(int error) {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM;
}

std::size_t Acceptor::most_to_serve(const Shared& listener) {
  // The length of a UNIX socket's queue cannot be read; no queue is longer than its limit (net.core.somaxconn).
  constexpr std::size_t kUnknownLength = 4096;
  constexpr std::size_t kMargin = 128;
  return os::accept_queue_length(listener.fd.get()).value_or(kUnknownLength) + kMargin;
}

bool Acceptor::owns(std::uint64_t key) const {
  return key >= first_key_ && key < first_key_ + listeners_.size();
}

void Acceptor::watch(std::uint64_t key) {
  const int fd = listeners_[key - first_key_].fd.get();
  if (auto added = epoll_->add(fd, EPOLLIN | EPOLLEXCLUSIVE, key); !added)
    log::error("cannot wait for connections: {}", added.error().text());
}

void Acceptor::resume() {
  if (std::exchange(active_, true)) return;
  paused_until_.reset();
  for (std::size_t i = 0; i < listeners_.size(); ++i) watch(first_key_ + i);
}

void Acceptor::pause() {
  if (!std::exchange(active_, false)) return;
  for (const Shared& listener : listeners_) epoll_->remove(listener.fd.get());
}

void Acceptor::pause_until(os::TimePoint until) {
  pause();
  paused_until_ = until;
}

void Acceptor::resume_if_due(os::TimePoint now) {
  if (paused_until_ && *paused_until_ <= now) resume();
}

os::Accepted Acceptor::accept_one(std::uint64_t key) {
  if (!active_) return {.fd = {}, .peer = {}, .error = EAGAIN};  // paused by an event of the same turn
  os::Accepted accepted = os::accept_connection(listeners_[key - first_key_].fd.get());
  if (is_passing(accepted.error)) accepted.error = EAGAIN;  // level-triggered: the next turn sees the next one
  return accepted;
}

void Acceptor::then_wait(std::uint64_t key, Kept kept) {
  if (!active_) return;
  Shared& listener = listeners_[key - first_key_];
  if (kept == Kept::kNo && ++listener.short_ones < kMostInARow) return;
  listener.short_ones = 0;
  epoll_->remove(listener.fd.get());
  watch(key);
}

}  // namespace prong::worker
