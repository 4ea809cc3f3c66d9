// The connections of a worker, found by their key: the descriptor's number and a serial, so that an event for a
// connection that is gone never reaches the one that got its number.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "worker/connection.hpp"

namespace prong::worker {

class ConnectionTable {
 public:
  // A new connection; its key has a bit above the lower 32 set, unlike the keys of listeners and signals.
  Connection& add(os::UniqueFd socket, const Service& service, const Peer& peer) {
    const auto index = static_cast<std::size_t>(socket.get());
    if (index >= by_fd_.size()) by_fd_.resize(index + 1);
    serial_ = serial_ == kLastSerial ? 1 : serial_ + 1;
    const std::uint64_t key = std::uint64_t{serial_} << 32U | index;
    by_fd_[index] = std::make_unique<Connection>(std::move(socket), key, service, peer);
    ++size_;
    return *by_fd_[index];
  }
  [[nodiscard]] Connection* find(std::uint64_t key) const {
    const std::size_t index = key & 0xFFFF'FFFFU;
    if (index >= by_fd_.size() || !by_fd_[index] || by_fd_[index]->key() != key) return nullptr;
    return by_fd_[index].get();
  }
  // Closes it; the kernel takes a closed descriptor out of the epoll set.
  void remove(const Connection& connection) {
    by_fd_[connection.key() & 0xFFFF'FFFFU].reset();
    --size_;
  }
  template <class Function>
  void for_each(Function function) {
    for (auto& connection : by_fd_)
      if (connection) function(*connection);
  }
  template <class Function>
  void for_each(Function function) const {
    for (const auto& connection : by_fd_)
      if (connection) function(std::as_const(*connection));
  }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kLastSerial = 0x7FFF'FFFFU;
  std::vector<std::unique_ptr<Connection>> by_fd_;
  std::uint32_t serial_ = 0;
  std::size_t size_ = 0;
};

}  // namespace prong::worker
