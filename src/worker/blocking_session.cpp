#include "worker/blocking_session.hpp"

#include <utility>

namespace prong::worker {

void BlockingSession::receive(std::span<const char> bytes) {
  if (!closing_) pipe_->push(bytes);
}

void BlockingSession::receive_end() {
  if (std::exchange(input_ended_, true) || closing_) return;
  pipe_->push_end();
}

void BlockingSession::resume() {
  if (closing_) return;
  if (!std::exchange(started_, true)) {
    ++requests_;
    return threads_->converse(pipe_);
  }
  const StreamPipe::Look look = pipe_->look();
  if (look.cut) {
    closing_ = broken_ = true;
    ++answered_;
    return;
  }
  if (output_.size() < buffer_) pipe_->take(output_);
  if (!look.finished) return;
  closing_ = true;
  ++answered_;
}

bool BlockingSession::wants_read() const {
  return !closing_ && !input_ended_ && output_.size() < buffer_ && pipe_->look().takes_input;
}

net::Phase BlockingSession::phase() const {
  if (closing_) return output_.empty() ? net::Phase::kClosed : net::Phase::kSending;
  if (!started_) return net::Phase::kIdle;
  if (!pipe_->look().waits) return net::Phase::kHandling;
  return output_.empty() ? net::Phase::kIdle : net::Phase::kSending;
}

}  // namespace prong::worker
