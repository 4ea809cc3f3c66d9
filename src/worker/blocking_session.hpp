// One client's conversation with application code that waits for it, as the I/O thread sees it: bytes go into a pipe
// and come out of one (stream_pipe.hpp), and what the deadlines are about is whether the thread waits or works.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "app/stream.hpp"
#include "net/conversation.hpp"
#include "worker/application_threads.hpp"
#include "worker/stream_pipe.hpp"

namespace prong::worker {

class BlockingSession final : public net::Conversation {
 public:
  // `threads` is borrowed; buffer: bytes that may wait in each direction.
  BlockingSession(ApplicationThreads& threads, std::size_t buffer, const app::StreamPeer& peer)
      : threads_(&threads), buffer_(buffer), pipe_(std::make_shared<StreamPipe>(buffer, peer)) {}
  BlockingSession(const BlockingSession&) = delete;
  BlockingSession& operator=(const BlockingSession&) = delete;
  BlockingSession(BlockingSession&&) = delete;
  BlockingSession& operator=(BlockingSession&&) = delete;
  // The application learns that the client has gone.
  ~BlockingSession() override { pipe_->abandon(); }

  void receive(std::span<const char> bytes) override;
  void receive_end() override;
  // Begins the conversation; then takes what the application has sent.
  void resume() override;
  [[nodiscard]] bool is_with_application() const override { return started_ && !closing_; }
  [[nodiscard]] bool wants_read() const override;
  [[nodiscard]] net::Phase phase() const override;
  [[nodiscard]] bool finished() const override { return closing_; }
  [[nodiscard]] bool lingering() const override { return !input_ended_; }
  void announce_close() override { pipe_->drain(); }
  void request_timed_out() override {}

 private:
  ApplicationThreads* threads_;
  std::size_t buffer_;
  std::shared_ptr<StreamPipe> pipe_;  // shared with the thread
  bool started_ = false;
  bool input_ended_ = false;
  bool closing_ = false;
};

}  // namespace prong::worker
