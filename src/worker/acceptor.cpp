#include "worker/acceptor.hpp"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "log/log.hpp"

namespace prong::worker {

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
  const int fd = listeners_[key - first_key_].fd.get();
  os::Accepted accepted = os::accept_connection(fd);
  if (is_passing(accepted.error)) accepted.error = EAGAIN;  // level-triggered: the next turn sees the next one
  if (!accepted.fd.valid()) return accepted;
  epoll_->remove(fd);
  watch(key);
  return accepted;
}

}  // namespace prong::worker
