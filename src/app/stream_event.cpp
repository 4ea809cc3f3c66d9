#include "app/stream_event.hpp"

#include <exception>
#include <utility>

namespace prong::app {
namespace {

void call(StreamHandler& handler, StreamEventKind kind, const StreamPeer& peer, std::unique_ptr<Stream>& stream,
          std::string_view bytes, StreamReply& reply) {
  if (stream == nullptr) stream = handler.open(peer, reply);
  switch (kind) {
    case StreamEventKind::kOpen:
      return;
    case StreamEventKind::kReceive:
      // It may have been opened and closed with a word of farewell just now.
      if (!reply.closes()) stream->receive(bytes, reply);
      return;
    case StreamEventKind::kEnd:
      if (!reply.closes()) stream->receive_end(reply);
      return;
    case StreamEventKind::kSendMore:
      stream->send_more(reply);
      return;
    case StreamEventKind::kClose:
      stream.reset();
      return;
  }
}

}  // namespace

StreamVerdict run_event(StreamHandler& handler, StreamEventKind kind, const StreamPeer& peer,
                        std::unique_ptr<Stream>& stream, std::string_view bytes, StreamReply& reply) {
  StreamVerdict verdict;
  try {
    call(handler, kind, peer, stream, bytes, reply);
  } catch (const std::exception& exception) {
    verdict.failure = *exception.what() == '\0' ? "an exception without a text" : exception.what();
  } catch (...) {
    verdict.failure = "an exception that is no std::exception";
  }
  verdict.more = reply.more() && !reply.closes();
  verdict.wants_room = reply.room_wanted() && !reply.closes();
  verdict.close = reply.closes();
  verdict.cut = reply.cuts();
  verdict.wants_data = reply.data_wanted();
  return verdict;
}

StreamOutcome run_event(StreamHandler& handler, StreamEvent event) {
  StreamOutcome outcome{.stream = std::move(event.stream)};
  if (event.kind == StreamEventKind::kClose) {
    outcome.stream.reset();
    return outcome;
  }
  StreamReply reply(outcome.output, event.room);
  outcome.verdict = run_event(handler, event.kind, event.peer, outcome.stream, event.bytes, reply);
  return outcome;
}

}  // namespace prong::app
