// A conversation that an application thread has with one client, by functions that wait, while the I/O thread reads and
// sends: what has come waits here for the one, what is to go waits here for the other, both bounded.
//
// The thread itself never touches the socket, so that deadlines hold while it is in code of the application, and so
// that a drain and a client that has gone reach it wherever it waits.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "app/stream.hpp"
#include "net/output.hpp"

namespace prong::worker {

class StreamPipe final : public app::StreamPartner {
 public:
  // buffer: bytes that may wait in each direction; at least 1.
  StreamPipe(std::size_t buffer, const app::StreamPeer& peer) : buffer_(buffer), peer_(peer) {}

  // ---- On the application thread

  // Before the others: how the I/O thread is told to look().
  void begin(std::function<void()> tell) { tell_ = std::move(tell); }
  [[nodiscard]] Received read(std::span<char> buffer, std::size_t& size,
                              std::optional<std::chrono::nanoseconds> timeout, AtDrain at_drain) override;
  [[nodiscard]] bool write(std::string_view bytes) override;
  void cut() override;
  [[nodiscard]] const app::StreamPeer& peer() const override { return peer_; }
  // The conversation is over. The I/O thread is told otherwise.
  void finish();

  // ---- On the I/O thread

  struct Look {
    bool waits = false;        // the thread waits for the client
    bool finished = false;     // nothing will come any more but what waits
    bool cut = false;          // the connection is to end with a reset
    bool takes_input = false;  // there is room for bytes of the client
  };
  [[nodiscard]] Look look();
  void push(std::span<const char> bytes);
  void push_end();
  // Moves what waits into `output`.
  void take(net::Output& output);
  // The worker drains.
  void drain();
  // The connection is gone.
  void abandon();

 private:
  // While the lock is held.
  void wake();
  void begin_to_wait();

  std::size_t buffer_;
  app::StreamPeer peer_;
  std::function<void()> tell_;

  std::mutex mutex_;  // of all that follows; held during no system call but tell_'s
  std::condition_variable changed_;
  std::string input_;
  std::size_t taken_ = 0;  // of input_
  std::string output_;
  bool input_ended_ = false;
  bool draining_ = false;
  bool returns_at_drain_ = false;  // of the read() that waits
  bool gone_ = false;
  bool waits_ = false;  // and has not been woken
  bool finished_ = false;
  bool cut_ = false;
};

}  // namespace prong::worker
