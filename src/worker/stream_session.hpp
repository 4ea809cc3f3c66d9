// One client's conversation with a stream application: bytes in, bytes out, no protocol in between.
//
// A stream has no requests, so that three things differ from HTTP: both sides may send at any time, and reading goes on
// as long as little waits to be sent; the client's end (a half-close) is an event of the application like any other;
// and at a drain nothing can be announced to the client and no place between two answers is known to be a good one to
// stop at. So a stream simply goes on while the worker drains, until it ends by itself, has been silent for the idle
// grace, or the whole grace is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "app/stream.hpp"
#include "app/stream_event.hpp"
#include "ipc/thread_cell.hpp"
#include "net/conversation.hpp"
#include "net/ip_address.hpp"
#include "worker/application_threads.hpp"
#include "worker/shown_call.hpp"

namespace prong::worker {

class StreamSession final : public net::Conversation {
 public:
  struct Context {
    // Where the application runs: one of both. Borrowed; outlives the session.
    app::StreamHandler* handler = nullptr;  // here
    ApplicationThreads* threads = nullptr;  // there
    ShownCalls* shown = nullptr;            // with handler, if its calls are to be shown
    std::size_t buffer = 0;                 // bytes that may wait to be sent before reading stops; at least 1
    app::StreamPeer peer = {};
  };
  explicit StreamSession(const Context& context)
      : context_(context),
        shown_peer_(context.shown == nullptr ? ipc::PeerBytes{} : peer_bytes(net::Endpoint::of(context.peer.address))) {
  }
  StreamSession(const StreamSession&) = delete;
  StreamSession& operator=(const StreamSession&) = delete;
  StreamSession(StreamSession&&) = delete;
  StreamSession& operator=(StreamSession&&) = delete;
  // The application learns that the connection has gone. An event that is with a thread then is its owner's to cancel.
  ~StreamSession() override;

  // Hands the bytes to the application.
  void receive(std::span<const char> bytes) override;
  void receive_end() override;
  // Opens the stream, if nothing was received before; else asks the application for more, if it has more.
  void resume() override;
  // The application has something to send that comes of no event of this stream.
  void wake() { more_ = true; }
  // What came of the event that is_with_application().
  void finish_event(app::StreamOutcome outcome);
  [[nodiscard]] bool is_with_application() const override { return working_; }
  [[nodiscard]] bool wants_read() const override {
    return !working_ && wants_data_ && !input_ended_ && !closing_ && output_.size() < context_.buffer;
  }
  // The application wants to read later.
  [[nodiscard]] bool is_paused() const { return !wants_data_ && !input_ended_ && !closing_; }
  [[nodiscard]] net::Phase phase() const override;
  [[nodiscard]] bool finished() const override { return closing_ && !working_; }
  [[nodiscard]] bool lingering() const override { return !input_ended_; }
  void announce_close() override {}
  void request_timed_out() override {}

 private:
  void happen(app::StreamEventKind kind, std::string_view bytes);
  [[nodiscard]] app::StreamVerdict run_event(app::StreamEventKind kind, std::string_view bytes);
  void take_verdict(app::StreamVerdict verdict);
  [[nodiscard]] std::size_t room() const;

  // Of a call of the application for this stream.
  [[nodiscard]] ipc::Call shown_call() const { return {.phase = ipc::ThreadPhase::kStream, .peer = shown_peer_}; }

  Context context_;
  ipc::PeerBytes shown_peer_;
  std::unique_ptr<app::Stream> stream_ = {};  // nullptr: not opened yet, or with a thread
  app::StreamEventKind last_event_ = app::StreamEventKind::kOpen;
  std::uint64_t sent_before_ = 0;  // the end of output() before that event
  bool opened_ = false;
  bool working_ = false;  // a thread has the stream
  bool more_ = false;     // the application has more to send
  bool wants_data_ = true;
  bool input_ended_ = false;
  bool closing_ = false;
};

}  // namespace prong::worker
