// Accepts from listeners that the whole pool shares, one connection at a time, so that load spreads evenly.
//
// How: EPOLLEXCLUSIVE wakes one worker for a connection, but always the one that began to wait last; taking the
// listener out of the epoll set and putting it back moves this worker to the end of that queue. It does so after each
// connection that stays, which is what has to be spread, and after some of those that ended with their first answer,
// for which two system calls would be a tenth of their cost. Measured (facts.md): Jain's index 1.00 at 200 and 3,000
// connections/s, at no cost in throughput. A worker that is told of a connection and cannot take it any more may leave
// it: the kernel counts only those as woken that slept in epoll_wait(2), and tells the next one otherwise
// (ep_poll_callback in Linux fs/eventpoll.c), so whoever took something else meanwhile is not the only one who knows.
// Refused: SO_REUSEPORT (a busy worker's connections wait while others idle), an accept mutex (a lock that a dead
// worker can hold).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ipc/inheritance.hpp"
#include "net/ip_address.hpp"
#include "os/clock.hpp"
#include "os/epoll.hpp"
#include "os/socket.hpp"
#include "os/unique_fd.hpp"

namespace prong::worker {

class Acceptor {
 public:
  // Takes the inherited listeners over; listener i has key first_key + i in the epoll set.
  Acceptor(os::Epoll& epoll, const std::vector<ipc::InheritedListener>& listeners, std::uint64_t first_key);

  // Waits for connections, or no longer does. Listeners stay open, and siblings take what comes.
  void resume();
  void pause();
  // Waits in reserve: hears of the next connection once, together with whoever resumed, who has the first choice.
  void reserve();
  // Whether a connection waits in one of the queues. One system call.
  [[nodiscard]] bool somebody_waits() const;
  // No connection before `until`: for when descriptors have run out.
  void pause_until(os::TimePoint until);
  [[nodiscard]] std::optional<os::TimePoint> next_deadline() const { return paused_until_; }
  void resume_if_due(os::TimePoint now);

  // One connection of the listener with that key; then_wait() is to follow. None while paused: a listener may
  // still be among the events of the turn that paused it, and must not be waited for again.
  [[nodiscard]] os::Accepted accept_one(std::uint64_t key);
  // One connection of whichever listener has one, with its key: for who waited in reserve.
  [[nodiscard]] std::pair<os::Accepted, std::uint64_t> accept_any();
  // What became of the connection that was accepted last.
  enum class Kept : std::uint8_t {
    kYes,  // it is a load that stays: back to the end of the queue
    kNo,   // it is over already: a few may follow each other
  };
  void then_wait(std::uint64_t key, Kept kept);
  [[nodiscard]] bool owns(std::uint64_t key) const;
  // The listener's address, as the configuration names it. Lives as long as the acceptor.
  [[nodiscard]] const std::string& address(std::uint64_t key) const { return addresses_[key - first_key_]; }

  // The same as it is bound; of a UNIX socket nothing.
  [[nodiscard]] const net::Endpoint& endpoint(std::uint64_t key) const { return endpoints_[key - first_key_]; }

  // Closes all listeners. First hands each connection that waits on the listeners named in `serve_backlog` (bits of
  // InheritedListener::number) to `take(accepted, key)`, which returns false when no more is wanted. Bounded: clients
  // that go on connecting cannot keep a worker from stopping.
  template <class Take>
  void close(std::uint64_t serve_backlog, Take take) {
    pause();
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
      Shared& listener = listeners_[i];
      const bool serve = (serve_backlog >> listener.number & 1U) != 0;
      for (std::size_t left = serve ? most_to_serve(listener) : 0; left > 0; --left) {
        os::Accepted accepted = os::accept_connection(listener.fd.get());
        if (accepted.died_in_queue()) continue;
        if (!take(std::move(accepted), first_key_ + i)) break;
      }
      listener.fd.reset();
    }
    listeners_.clear();
  }
  [[nodiscard]] bool is_closed() const { return listeners_.empty(); }

 private:
  struct Shared {
    os::UniqueFd fd;
    std::uint32_t number = 0;
    std::uint32_t short_ones = 0;  // connections in a row that are over
  };
  // What waits now and a little more for what arrives meanwhile.
  [[nodiscard]] static std::size_t most_to_serve(const Shared& listener);
  enum class Mode : std::uint8_t { kPaused, kReserve, kActive };
  void change_mode(Mode mode);
  void watch(std::uint64_t key, std::uint32_t events);

  os::Epoll* epoll_;
  std::uint64_t first_key_;
  std::vector<Shared> listeners_;
  std::vector<std::string> addresses_;  // stay when the listeners are closed: connections refer to them
  std::vector<net::Endpoint> endpoints_;
  Mode mode_ = Mode::kPaused;
  std::optional<os::TimePoint> paused_until_;
};

}  // namespace prong::worker
