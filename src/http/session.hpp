// One client's conversation over HTTP/1.0 and 1.1: bytes in, answers out. It knows no socket, no clock but the date,
// and no process, so that it can be tested byte by byte and so that a connection may move between processes: between
// two requests a session is empty.
//
// How a connection drives it, all on one thread, nothing here blocks:
//   - reads only while wants_read(), and hands what it read to receive(), the end of it to receive_end();
//   - then sends output(); when that is empty it calls resume(), which may fill it again, and goes on;
//   - when finished() and output() is empty it closes: at once, or after shutdown(SHUT_WR) and reading until the
//     client closes if lingering(), because closing a socket with unread bytes resets the answer on its way;
//   - keeps the timers that phase() asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/enum_text.hpp"
#include "http/handler.hpp"
#include "http/limits.hpp"
#include "http/output.hpp"
#include "http/parser.hpp"

namespace prong::http {

// What the session waits for, hence which timer runs.
enum class Phase : std::uint8_t {
  kIdle,     // the first byte of the next request
  kHeader,   // the rest of a request's head
  kBody,     // the rest of a request's body
  kSending,  // output() to be sent
  kClosed,   // nothing: finished() and all of it was sent
};
inline constexpr EnumText<Phase, 5> kPhaseText{{{{Phase::kIdle, "idle"},
                                                 {Phase::kHeader, "header"},
                                                 {Phase::kBody, "body"},
                                                 {Phase::kSending, "sending"},
                                                 {Phase::kClosed, "closed"}}}};

class Session {
 public:
  // Both must outlive the session. `clock` gives the time of the Date field.
  using Clock = std::time_t (*)();
  Session(Handler& handler, const Limits& limits, Clock clock = wall_clock);

  // Takes bytes of the client and answers every request that they complete, as long as not much output is waiting;
  // what was not looked at is kept for resume(). Keeps at most the bytes given and one head.
  void receive(std::span<const char> bytes);
  // The client will send no more: what has arrived whole is still answered, then the session is finished.
  void receive_end();
  // Goes on with bytes that were kept; for when output() has been sent.
  void resume();

  // False while output is waiting (back-pressure) and after the last request.
  [[nodiscard]] bool wants_read() const { return !closing_ && !input_ended_ && output_.empty(); }
  [[nodiscard]] Output& output() { return output_; }
  [[nodiscard]] Phase phase() const;
  // Nothing will be added to output() any more; close when it has been sent.
  [[nodiscard]] bool finished() const { return closing_; }
  // When finished(): whether the client may have sent, or may still send, bytes that nobody will read.
  [[nodiscard]] bool lingering() const { return lingering_ && !input_ended_; }

  // Drain: the next answer says `Connection: close` and is the last one. A session that is idle stays open for it, so
  // that a client which is sending right now is served. Requests that arrived together with it are answered before.
  void announce_close() { close_announced_ = true; }
  // The head or body of a request took too long: queues 408 and finishes. Without one begun, it only finishes.
  void header_timed_out();

  // Requests that the handler was asked to answer.
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  // Bytes kept of requests, for memory limits.
  [[nodiscard]] std::size_t buffered() const { return input_.size(); }
  // The text of the last exception that came out of the handler, or empty; then forgets it. For the worker's log.
  [[nodiscard]] std::string take_failure() { return std::exchange(failure_, {}); }

  [[nodiscard]] static std::time_t wall_clock();

 private:
  // A buffer that begins with the current request, and how far the parser has come in it.
  struct Cursor {
    std::span<const char> bytes;
    std::size_t start = 0;  // the request's first byte
    std::size_t next = 0;   // the first byte that was not looked at

    [[nodiscard]] std::span<const char> request() const { return bytes.subspan(start); }
    [[nodiscard]] std::size_t rest() const { return bytes.size() - next; }
  };
  enum class AfterAnswer : std::uint8_t { kKeepOpen, kClose };

  void run(Cursor& cursor);
  void keep(const Cursor& cursor);
  [[nodiscard]] bool step(Cursor& cursor);
  [[nodiscard]] std::size_t allowance(const Cursor& cursor) const;
  void begin_body(const Cursor& cursor);
  void complete(Cursor& cursor);
  void answer(const Cursor& cursor, AfterAnswer after);
  [[nodiscard]] AfterAnswer after_answer(const Cursor& cursor);
  [[nodiscard]] Response call_handler(const Request& request);
  void refuse(const Cursor& cursor, std::uint16_t status);
  void send(Response response, std::string_view method, AfterAnswer after);

  Handler* handler_;
  const Limits* limits_;
  Clock clock_;
  Parser parser_;
  Output output_ = {};
  std::string input_ = {};         // the current request's head as far as it came, then bytes not looked at
  std::size_t parsed_ = 0;         // of input_: the bytes that the parser has seen
  std::uint64_t body_parsed_ = 0;  // of the current request's body, as it came over the wire
  std::uint64_t requests_ = 0;
  std::uint32_t answers_after_close_ = 0;  // since announce_close()
  std::string failure_ = {};
  bool input_ended_ = false;
  bool close_announced_ = false;
  bool closing_ = false;
  bool lingering_ = false;
};

}  // namespace prong::http
