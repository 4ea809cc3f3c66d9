#include "worker/acceptor.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "log/log.hpp"

namespace prong::worker {
namespace {

// As many as nginx takes before it goes back to the end of the queue. Measured with 4 workers and short connections:
// the shares stay even (Jain's index 0.999 at 200/s and 1.000 at 3,000/s, `./dev bench accept`).
constexpr std::uint32_t kMostInARow = 16;

// One of those that wait is woken for a connection, not all (epoll_ctl(2)).
constexpr std::uint32_t kExclusive = std::uint32_t{EPOLLIN} | EPOLLEXCLUSIVE;

}  // namespace

Acceptor::Acceptor(os::Epoll& epoll, const std::vector<ipc::InheritedListener>& listeners, std::uint64_t first_key)
    : epoll_(&epoll), first_key_(first_key) {
  for (const ipc::InheritedListener& listener : listeners) {
    listeners_.push_back({.fd = os::UniqueFd{listener.fd}, .number = listener.number});
    addresses_.push_back(listener.address);
    const auto bound = os::local_address(listener.fd);
    endpoints_.push_back(bound ? net::Endpoint::of(*bound) : net::Endpoint{});
  }
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

void Acceptor::watch(std::uint64_t key, std::uint32_t events) {
  const int fd = listeners_[key - first_key_].fd.get();
  if (auto added = epoll_->add(fd, events, key); !added)
    log::error(MessageCode::kCannotWatchListener, "cannot wait for connections: {}", added.error().text());
}

void Acceptor::change_mode(Mode mode) {
  const Mode before = std::exchange(mode_, mode);
  if (mode == before) return;
  if (before != Mode::kPaused)
    for (const Shared& listener : listeners_) epoll_->remove(listener.fd.get());
  if (mode == Mode::kPaused) return;
  paused_until_.reset();
  const std::uint32_t events = mode == Mode::kActive ? kExclusive : std::uint32_t{EPOLLIN} | EPOLLONESHOT;
  for (std::size_t i = 0; i < listeners_.size(); ++i) watch(first_key_ + i, events);
}

void Acceptor::resume() {
  change_mode(Mode::kActive);
}

void Acceptor::pause() {
  paused_until_.reset();
  change_mode(Mode::kPaused);
}

void Acceptor::reserve() {
  change_mode(Mode::kReserve);
}

bool Acceptor::somebody_waits() const {
  return std::ranges::any_of(listeners_, [](const Shared& listener) { return os::is_readable(listener.fd.get()); });
}

void Acceptor::pause_until(os::TimePoint until) {
  pause();
  paused_until_ = until;
}

void Acceptor::resume_if_due(os::TimePoint now) {
  if (paused_until_ && *paused_until_ <= now) resume();
}

os::Accepted Acceptor::accept_one(std::uint64_t key) {
  if (mode_ == Mode::kPaused) return {.fd = {}, .peer = {}, .error = EAGAIN};  // paused by an event of the same turn
  os::Accepted accepted = os::accept_connection(listeners_[key - first_key_].fd.get());
  if (accepted.died_in_queue()) accepted.error = EAGAIN;  // level-triggered: the next turn sees the next one
  return accepted;
}

std::pair<os::Accepted, std::uint64_t> Acceptor::accept_any() {
  for (std::size_t i = 0; i < listeners_.size(); ++i) {
    os::Accepted accepted = accept_one(first_key_ + i);
    if (accepted.error != EAGAIN) return {std::move(accepted), first_key_ + i};
  }
  return {os::Accepted{.fd = {}, .peer = {}, .error = EAGAIN}, first_key_};
}

void Acceptor::then_wait(std::uint64_t key, Kept kept) {
  if (mode_ != Mode::kActive) return;
  Shared& listener = listeners_[key - first_key_];
  if (kept == Kept::kNo && ++listener.short_ones < kMostInARow) return;
  listener.short_ones = 0;
  epoll_->remove(listener.fd.get());
  watch(key, kExclusive);
}

}  // namespace prong::worker
