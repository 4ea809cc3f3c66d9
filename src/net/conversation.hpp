// What is spoken over one connection, whatever the language: bytes in, bytes out. It knows no socket and no clock, so
// that it can be tested byte by byte, and so that one connection code serves all of them.
//
// How a connection drives it, all on one thread, nothing here blocks:
//   - calls resume() once when it begins: some speak first;
//   - reads only while wants_read(), and hands what it read to receive(), the end of it to receive_end();
//   - then sends output(); when that is empty it calls resume(), which may fill it again, and goes on;
//   - when finished() and output() is empty it closes: at once, or after shutdown(SHUT_WR) and reading until the
//     client closes if lingering(), because closing a socket with unread bytes resets the answer on its way; and when
//     broken() it closes at once, whatever is waiting;
//   - keeps the timers that phase() asks for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "base/enum_text.hpp"
#include "net/output.hpp"

namespace prong::net {

// What a conversation waits for, hence which timer runs.
enum class Phase : std::uint8_t {
  kIdle,      // the client: the first byte of the next request, or of a stream any bytes
  kHeader,    // the rest of a request's head
  kBody,      // the rest of a request's body
  kHandling,  // the application
  kSending,   // output() to be sent
  kClosed,    // nothing: finished() and all of it was sent
};
inline constexpr EnumText<Phase, 6> kPhaseText{{{{Phase::kIdle, "idle"},
                                                 {Phase::kHeader, "header"},
                                                 {Phase::kBody, "body"},
                                                 {Phase::kHandling, "handling"},
                                                 {Phase::kSending, "sending"},
                                                 {Phase::kClosed, "closed"}}}};

class Conversation {
 public:
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  Conversation(Conversation&&) = delete;
  Conversation& operator=(Conversation&&) = delete;
  virtual ~Conversation() = default;

  // Takes bytes of the client, of which it keeps what it cannot use yet. Only while wants_read().
  virtual void receive(std::span<const char> bytes) = 0;
  // The client will send no more.
  virtual void receive_end() = 0;
  // Goes on with what was kept; for when output() has been sent, and when the application has more.
  virtual void resume() = 0;
  // False while enough output is waiting (back-pressure), while the application works, and after the end.
  [[nodiscard]] virtual bool wants_read() const = 0;
  [[nodiscard]] virtual Phase phase() const = 0;
  // The application works, on a thread of its own: what it makes of it is still to come.
  [[nodiscard]] virtual bool is_with_application() const = 0;
  // Nothing will be added to output() any more; close when it has been sent.
  [[nodiscard]] virtual bool finished() const = 0;
  // When finished(): whether the client may have sent, or may still send, bytes that nobody will read.
  [[nodiscard]] virtual bool lingering() const = 0;
  // Drain: it is to end as soon as its language allows without loss.
  virtual void announce_close() = 0;
  // What phase() waits for of a request (kHeader, kBody) took too long: says so, if it can, and finishes.
  virtual void request_timed_out() = 0;

  [[nodiscard]] Output& output() { return output_; }
  [[nodiscard]] const Output& output() const { return output_; }
  // What was being sent broke off, so that only a cut connection tells the client that it is not whole.
  [[nodiscard]] bool broken() const { return broken_; }
  // What the application was asked to answer: requests, or events of a stream.
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  // Of those: what has been answered, to the last byte of the answer, which may still wait in output().
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  // What went wrong inside (an exception of the application, a body that could not be stored), or empty; then forgets
  // it. For the worker's log.
  [[nodiscard]] std::string take_failure() { return std::exchange(failure_, {}); }

 protected:
  Conversation() = default;

  // Of every conversation, and here so that a connection reads them without a virtual call.
  Output output_ = {};
  std::uint64_t requests_ = 0;
  std::uint64_t answered_ = 0;
  std::string failure_ = {};
  bool broken_ = false;
};

}  // namespace prong::net
