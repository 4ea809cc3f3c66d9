#include "worker/stream_session.hpp"

#include <cassert>
#include <string>
#include <utility>

namespace prong::worker {

StreamSession::~StreamSession() {
  if (context_.threads != nullptr) {
    context_.threads->close(std::move(stream_));
    return;
  }
  const ShownCall shown{context_.shown, shown_call()};
  stream_.reset();
}

void StreamSession::receive(std::span<const char> bytes) {
  if (closing_) return;
  happen(app::StreamEventKind::kReceive, {bytes.data(), bytes.size()});
}

void StreamSession::receive_end() {
  if (std::exchange(input_ended_, true) || closing_) return;
  happen(app::StreamEventKind::kEnd, {});
}

void StreamSession::resume() {
  if (closing_ || working_) return;
  if (!opened_) return happen(app::StreamEventKind::kOpen, {});
  if (more_ && output_.size() < context_.buffer) happen(app::StreamEventKind::kSendMore, {});
}

void StreamSession::happen(app::StreamEventKind kind, std::string_view bytes) {
  assert(!working_);
  ++requests_;
  last_event_ = kind;
  sent_before_ = output_.end_of_stream();
  if (context_.threads != nullptr) {
    working_ = true;
    app::StreamEvent event{.kind = kind, .stream = std::move(stream_), .bytes = std::string(bytes), .room = room()};
    event.peer.connection = context_.peer.connection;
    if (!std::exchange(opened_, true)) event.peer.address = context_.peer.address;
    return context_.threads->handle(std::move(event));
  }
  opened_ = true;
  take_verdict(run_event(kind, bytes));
}

app::StreamVerdict StreamSession::run_event(app::StreamEventKind kind, std::string_view bytes) {
  app::StreamReply reply(output_, room());
  const ShownCall shown{context_.shown, shown_call()};
  return app::run_event(*context_.handler, kind, context_.peer, stream_, bytes, reply);
}

void StreamSession::finish_event(app::StreamOutcome outcome) {
  working_ = false;
  stream_ = std::move(outcome.stream);
  output_.append(std::move(outcome.output));
  take_verdict(std::move(outcome.verdict));
}

void StreamSession::take_verdict(app::StreamVerdict verdict) {
  ++answered_;
  // An event that is not about sending leaves alone what the application still wants to send.
  const bool was_to_send = last_event_ == app::StreamEventKind::kSendMore;
  more_ = verdict.more || verdict.wants_room || (more_ && !was_to_send);
  closing_ = closing_ || verdict.close;
  wants_data_ = verdict.wants_data.value_or(wants_data_);
  if (verdict.cut) closing_ = broken_ = true;
  if (was_to_send && verdict.more && output_.end_of_stream() == sent_before_)
    verdict.failure = "a stream wanted to send more, and sent nothing";
  if (verdict.failure.empty()) return;
  failure_ = std::move(verdict.failure);
  closing_ = true;
  broken_ = true;
}

std::size_t StreamSession::room() const {
  const std::uint64_t waiting = output_.size();
  return waiting < context_.buffer ? context_.buffer - static_cast<std::size_t>(waiting) : 0;
}

net::Phase StreamSession::phase() const {
  if (working_) return net::Phase::kHandling;
  if (!output_.empty()) return net::Phase::kSending;
  return closing_ ? net::Phase::kClosed : net::Phase::kIdle;
}

}  // namespace prong::worker
