// One event of a stream, and what came of it: as values, so that it can happen on another thread than the one that
// reads and sends. The stream itself travels with them, so that it is with one thread at a time without a lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/stream.hpp"
#include "net/output.hpp"

namespace prong::app {

enum class StreamEventKind : std::uint8_t {
  kOpen,      // nothing but that the connection is there
  kReceive,   // bytes of the client
  kEnd,       // the client's end
  kSendMore,  // there is room again
  kClose,     // the connection is gone: the stream is destroyed
};

// An event that crosses threads.
struct StreamEvent {
  StreamEventKind kind = StreamEventKind::kOpen;
  StreamPeer peer = {};
  std::unique_ptr<Stream> stream = {};  // nullptr: to be opened first
  std::string bytes = {};               // kReceive
  std::size_t room = 0;                 // StreamReply::room()
};

// What StreamReply was told.
struct StreamVerdict {
  bool more = false;        // to be asked again: it has more to send
  bool wants_room = false;  // to be asked again: it may have
  bool close = false;
  bool cut = false;
  std::optional<bool> wants_data = {};
  std::string failure = {};  // of an exception; empty: there was none
};

// What the application made of it, and the stream back.
struct StreamOutcome {
  std::unique_ptr<Stream> stream = {};
  net::Output output = {};
  StreamVerdict verdict = {};
};

// Calls the application, on the thread that this is called on, and catches what it throws. Opens the stream when there
// is none.
[[nodiscard]] StreamVerdict run_event(StreamHandler& handler, StreamEventKind kind, const StreamPeer& peer,
                                      std::unique_ptr<Stream>& stream, std::string_view bytes, StreamReply& reply);
// The same for an event that crossed threads.
[[nodiscard]] StreamOutcome run_event(StreamHandler& handler, StreamEvent event);

}  // namespace prong::app
