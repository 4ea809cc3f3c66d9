// One client's connection in `event` concurrency: moves bytes between a socket and a session, and tells which timer it
// waits on. It never blocks and never decides when to be destroyed: it says so, and the worker does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "http/session.hpp"
#include "os/epoll.hpp"
#include "os/unique_fd.hpp"
#include "worker/deadline_list.hpp"

namespace prong::worker {

// What a connection waits for, hence which deadline holds.
enum class Waiting : std::uint8_t {
  kIdle,       // the next request
  kRequest,    // the rest of a request
  kSending,    // the client to take more of the answer
  kLingering,  // the client to close, after the last answer
  kNothing,    // it is over: destroy it
};

class Connection : public Waiter {
 public:
  // `key` is its key in the epoll set, to which it adds itself when it has to wait.
  Connection(os::UniqueFd socket, std::uint64_t key, http::Handler& handler, const http::Limits& limits)
      : socket_(std::move(socket)), key_(key), session_(handler, limits) {}

  // The socket is readable, or may be. Uses `buffer` for the time of the call.
  void on_readable(std::span<char> buffer);
  // The socket takes bytes again.
  void on_writable() { pump(); }
  // The deadline of what it waited for has passed.
  void on_late();
  // Drain: its next answer is its last.
  void announce_close() { session_.announce_close(); }

  [[nodiscard]] Waiting waiting() const;
  // Makes the epoll set fit to what it waits for. On failure the connection is over.
  void update_interest(os::Epoll& epoll);

  // Bytes moved since the last call: whether a deadline starts anew.
  [[nodiscard]] bool take_progress() { return std::exchange(progress_, false); }
  // Requests answered since the last call.
  [[nodiscard]] std::uint64_t take_requests() {
    return session_.requests() - std::exchange(counted_requests_, session_.requests());
  }
  [[nodiscard]] http::Session& session() { return session_; }
  [[nodiscard]] std::uint64_t key() const { return key_; }
  // Which list it was put in last; kept here by the worker.
  Waiting listed_as = Waiting::kNothing;

 private:
  void pump();
  [[nodiscard]] bool send_some();
  void finish();

  os::UniqueFd socket_;
  std::uint64_t key_;
  std::uint32_t watched_ = 0;  // events in the epoll set; 0: not in it
  bool lingering_ = false;
  bool over_ = false;
  bool progress_ = false;
  std::uint64_t counted_requests_ = 0;
  http::Session session_;
};

}  // namespace prong::worker
