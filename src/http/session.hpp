// One client's conversation over HTTP/1.0 and 1.1: bytes in, answers out. It knows no socket, no clock but the date,
// and no process, so that it can be tested byte by byte and so that a connection may move between processes: between
// two requests a session is empty.
//
// How a connection drives it: see net/conversation.hpp. When the handler said Later, whoever has the answer gives it to
// answer(); when a body source said kWait, resume() is called once it has more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "http/body_intake.hpp"
#include "http/handler.hpp"
#include "http/limits.hpp"
#include "http/observer.hpp"
#include "http/parser.hpp"
#include "net/conversation.hpp"

namespace prong::http {

using net::Phase;

class Session final : public net::Conversation {
 public:
  using Clock = std::time_t (*)();
  // All of it borrowed, and must outlive the session.
  struct Context {
    Handler* handler = nullptr;
    const Limits* limits = nullptr;
    Observer* observer = nullptr;  // may be nullptr
    Clock clock = wall_clock;      // the time of the Date field
    std::uint64_t connection = 0;  // Request::connection
    net::Endpoint peer = {};       // Request::peer, and so on
    net::Endpoint listener = {};
    const ProxyTrust* proxies = nullptr;  // nullptr: the peer is not trusted
  };
  explicit Session(const Context& context);

  // Takes bytes of the client and answers every request that they complete, as long as not much output is waiting;
  // what was not looked at is kept for resume(). Keeps at most the bytes given and one head.
  void receive(std::span<const char> bytes) override;
  // The client will send no more: what has arrived whole is still answered, then the session is finished.
  void receive_end() override;
  // Goes on with bytes that were kept and with a body that is streamed; for when output() has been sent.
  void resume() override;
  // The answer of a handler that said Later. Only while awaits_answer().
  void answer(Response response);
  [[nodiscard]] bool awaits_answer() const { return stage_ == Stage::kAwaiting; }
  // It has not given its answer yet, or makes its body.
  [[nodiscard]] bool is_with_application() const override { return stage_ != Stage::kReading; }
  // Of the request whose answer is awaited, "GET /path?query" as it was sent; empty while none is. For the log.
  [[nodiscard]] std::string awaited_request() const;

  [[nodiscard]] bool wants_read() const override {
    return !closing_ && !input_ended_ && stage_ == Stage::kReading && output_.empty();
  }
  [[nodiscard]] Phase phase() const override;
  [[nodiscard]] bool finished() const override { return closing_ && stage_ == Stage::kReading; }
  [[nodiscard]] bool lingering() const override { return lingering_ && !input_ended_; }

  // Drain: the next answer says `Connection: close` and is the last one. A session that is idle stays open for it, so
  // that a client which is sending right now is served. Requests that arrived together with it are answered before.
  void announce_close() override { close_announced_ = true; }
  // The head or body of a request took too long: queues 408 and finishes. Without one begun, it only finishes.
  void request_timed_out() override;

  // Bytes kept of requests, for memory limits; without those of a body that the application wants.
  [[nodiscard]] std::size_t buffered() const { return input_.size(); }

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
  enum class Stage : std::uint8_t {
    kReading,    // requests
    kAwaiting,   // the answer that the handler will give later; the request's head is kept
    kStreaming,  // stream_ makes the body
  };
  // An answer whose body is being made.
  struct Stream {
    std::unique_ptr<BodySource> source;
    std::optional<std::uint64_t> left;  // of a body with a known size
    bool chunked = false;

    // How many of so many bytes more belong to it: what is beyond the known size does not.
    [[nodiscard]] std::size_t take(std::size_t more) {
      if (!left) return more;
      const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(more, *left));
      *left -= taken;
      return taken;
    }
    [[nodiscard]] bool is_whole() const { return left && *left == 0; }
  };

  enum class Pulled : std::uint8_t { kFirst, kAgain };

  void run(Cursor& cursor);
  void keep(const Cursor& cursor);
  [[nodiscard]] bool step(Cursor& cursor);
  [[nodiscard]] std::size_t allowance(const Cursor& cursor) const;
  [[nodiscard]] std::uint16_t body_refusal() const;
  void begin_body(Cursor& cursor);
  void complete(Cursor& cursor);
  void handle(Cursor& cursor, AfterAnswer after);
  void finish_request(Cursor& cursor, const Request& request, Response response);
  [[nodiscard]] AfterAnswer after_answer(const Cursor& cursor);
  [[nodiscard]] Request request_at(const Cursor& cursor) const;
  [[nodiscard]] std::optional<BodyUse> ask_body_use(const Request& request, std::unique_ptr<BodySink>& sink);
  [[nodiscard]] Answer call_handler(const Request& request);
  void refuse(const Cursor& cursor, std::uint16_t status);
  void send(const Request& request, Response response, AfterAnswer after);
  void send_body(Body body, std::optional<std::uint64_t> size, bool chunked);
  void pull(Pulled which = Pulled::kAgain);
  [[nodiscard]] BodySource::State read_source(std::string& data, SharedText& lent);
  template <class Text>
  void append_data(Text data, std::size_t size);
  void finish_stream(Pulled which);
  void end_answer();
  void break_off(std::string_view why);

  Context context_;
  Parser parser_;
  std::string input_ = {};                   // the current request's head as far as it came, then bytes not looked at
  std::size_t parsed_ = 0;                   // of input_: the bytes that the parser has seen
  std::unique_ptr<BodyIntake> intake_ = {};  // of the current request's body
  std::unique_ptr<Stream> stream_ = {};
  std::uint32_t answers_after_close_ = 0;  // since announce_close()
  Stage stage_ = Stage::kReading;
  AfterAnswer after_ = AfterAnswer::kKeepOpen;  // the current request, by its head
  bool is_request_answer_ = false;              // what is being answered is a request that the application got
  bool input_ended_ = false;
  bool close_announced_ = false;
  bool closing_ = false;
  bool lingering_ = false;
};

}  // namespace prong::http
