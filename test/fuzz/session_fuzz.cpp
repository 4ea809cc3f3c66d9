// Bytes from anywhere against a session: whatever they are and however they are cut into pieces, every answer is well
// formed, nothing is kept beyond the limits, and the pieces make no difference.
//
// The input: one byte that chooses a way of splitting, one that chooses when the client goes away or the server drains,
// the rest is what the client sends.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "http/session.hpp"
#include "http_driver.hpp"

namespace {

using namespace prong;
using namespace prong::test;

void require(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

// Small, so that the fuzzer reaches them.
const http::Limits kLimits{.max_request_line = {200},
                           .max_header_line = {150},
                           .max_header = {512},
                           .max_fields = 16,
                           .max_body = {300},
                           .body_buffer = {100},
                           .max_dropped_body = {256},
                           .output_buffer = {64},
                           .max_requests = 20};

// A body in small portions.
class Portions final : public http::BodySource {
 public:
  explicit Portions(std::string text) : text_(std::move(text)) {}
  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    const std::size_t portion = std::min<std::size_t>({most, 7, text_.size() - at_});
    into.append(text_, at_, portion);
    at_ += portion;
    return at_ == text_.size() ? State::kEnd : State::kMore;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

// Takes a body as it comes: all of it, or (`e`) until it has enough, or (`x`) until it fails.
class Taker final : public http::BodySink {
 public:
  Taker(char way, bool& is_there) : way_(way), is_there_(&is_there) {
    require(!is_there, "one sink at a time");
    is_there = true;
  }
  Taker(const Taker&) = delete;
  Taker& operator=(const Taker&) = delete;
  ~Taker() override { *is_there_ = false; }
  [[nodiscard]] Wants take(std::string_view bytes) override {
    require(!bytes.empty(), "a piece is not empty");
    require(!over_, "nothing comes after it was enough");
    text_ += bytes;
    over_ = way_ != 'p' && text_.size() >= kEnough;
    if (over_ && way_ == 'x') throw std::runtime_error("the sink is full");
    return over_ ? Wants::kNothing : Wants::kMore;
  }
  // How much it has when it was enough depends on the pieces.
  [[nodiscard]] std::string said() const { return over_ ? "enough" : text_; }

 private:
  static constexpr std::size_t kEnough = 20;
  char way_;
  bool* is_there_;
  bool over_ = false;
  std::string text_;
};

// An application that does what the path's first letter says: keeps the body, takes it as it comes, streams, answers
// later, all in all.
class Application final : public http::Handler {
 public:
  [[nodiscard]] http::BodyUse body_use(const http::Request& request) override {
    switch (way_of(request)) {
      case 'k':
      case 'l':
        return http::BodyUse::kKeep;
      case 'p':
      case 'e':
      case 'x':
        return http::BodyUse::kPass;
      default:
        return http::BodyUse::kDrop;
    }
  }
  [[nodiscard]] std::unique_ptr<http::BodySink> body_sink(const http::Request& request) override {
    return std::make_unique<Taker>(way_of(request), has_sink_);
  }
  [[nodiscard]] http::Answer handle(const http::Request& request) override {
    http::Answer answer = echo.handle(request);
    if (request.body != nullptr) echo.seen.back() += ' ' + body_of(*request.body);
    if (request.sink != nullptr) {
      const auto& taker = static_cast<const Taker&>(*request.sink);
      require(taker.said().size() <= kLimits.max_body.bytes, "a body that was taken is in the limit");
      echo.seen.back() += ' ' + taker.said();
    }
    if (request.path.starts_with("/s"))
      return http::Response{.body = std::make_unique<Portions>(std::string(request.target) + echo.seen.back())};
    if (request.path.starts_with("/l")) return http::Later{};
    return answer;
  }
  static char way_of(const http::Request& request) { return request.path.size() > 1 ? request.path[1] : '/'; }
  static std::string body_of(const http::RequestBody& body) {
    std::string text(static_cast<std::size_t>(body.size()), '\0');
    require(body.read(0, text).value_or(0) == text.size(), "a kept body can be read");
    require(body.size() <= kLimits.max_body.bytes, "a kept body is in the limit");
    return text;
  }
  Echo echo;

 private:
  bool has_sink_ = false;
};

// Everything that comes out, answers that are due later being given at once.
std::string drain_all(http::Session& session) {
  std::string said = drain(session);
  while (session.awaits_answer()) {
    session.answer({.body = std::string("later")});
    said += drain(session);
  }
  return said;
}

// A cheap source of piece sizes that depends on the input alone.
class Splitter {
 public:
  explicit Splitter(std::uint8_t seed) : state_(seed) {}
  std::size_t next() {
    if (state_ == 0) return 1;
    state_ = state_ * 1103515245U + 12345U;
    return (state_ >> 16U) % 61U + 1;
  }

 private:
  std::uint32_t state_;
};

void check_rest_state(const http::Session& session, std::size_t piece) {
  require(session.buffered() <= kLimits.max_header.bytes + piece, "what is kept is bounded");
  switch (session.phase()) {
    case http::Phase::kHandling:
      require(false, "nothing is left to be handled");
      break;
    case http::Phase::kIdle:
    case http::Phase::kHeader:
    case http::Phase::kBody:
      require(session.wants_read() && !session.finished(), "a session that waits for bytes reads");
      break;
    case http::Phase::kClosed:
      require(session.finished() && !session.wants_read(), "a closed session is finished");
      require(session.buffered() == 0, "a closed session keeps nothing");
      break;
    case http::Phase::kSending:
      require(false, "drained output leaves nothing to send");
      break;
  }
}

// All that comes out, the output being taken in small portions now and then.
struct Conversation {
  std::string said = {};
  std::vector<std::string> seen = {};
};

Conversation converse_in_pieces(std::string_view bytes, std::uint8_t seed, std::uint8_t event) {
  Application handler;
  http::Session session({.handler = &handler, .limits = &kLimits, .clock = clock_at_rest});
  Conversation result;
  Splitter splitter(seed);
  std::size_t pieces = 0;
  for (std::size_t at = 0; at < bytes.size() && !session.finished(); ++pieces) {
    if (event >= 0x80 && pieces == (event & 0x3FU))
      (event & 0x40U) != 0 ? session.announce_close() : session.request_timed_out();
    const std::string_view piece = bytes.substr(at, splitter.next());
    at += piece.size();
    session.receive(bytes_of(piece));
    result.said += drain_all(session);
    check_rest_state(session, piece.size());
  }
  session.receive_end();
  result.said += drain_all(session);
  require(session.finished() && !session.wants_read(), "after the end of the input the session is finished");
  require(session.phase() == http::Phase::kClosed, "and closed");
  require(session.requests() == handler.echo.seen.size(), "every request is counted");
  result.seen = handler.echo.seen;
  // Whether the client had to be told to go on does depend on the pieces.
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (std::size_t at = result.said.find(kContinue); at != std::string::npos; at = result.said.find(kContinue))
    result.said.erase(at, kContinue.size());
  return result;
}

void check_answers(const Conversation& conversation) {
  std::vector<std::string> requests = conversation.seen;
  std::vector<Answer> answers;
  try {
    answers = answers_in(conversation.said, requests);
  } catch (const std::exception& exception) {
    // An error answer to a HEAD that no handler has seen has no body either.
    requests.emplace_back("HEAD");
    try {
      answers = answers_in(conversation.said, requests);
    } catch (const std::exception& again) {
      require(false, again.what());
    }
  }
  require(answers.size() == conversation.seen.size() || answers.size() == conversation.seen.size() + 1,
          "one answer for each request, and at most one refusal");
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const bool last = i + 1 == answers.size();
    require(answers[i].status >= 200 && answers[i].status < 600, "a final status");
    require(!answers[i].field("Date").empty(), "a date");
    require(last || answers[i].field("Connection") != "close", "nothing after an answer that closes");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string bytes(data + 2, data + size);
  const Conversation pieces = converse_in_pieces(bytes, data[0], data[1]);
  check_answers(pieces);
  // Without events from outside, the pieces make no difference.
  if (data[1] >= 0x80) return 0;
  const Conversation whole = converse_in_pieces(bytes, 0, 0);
  require(whole.said == pieces.said && whole.seen == pieces.seen, "the pieces make no difference");
  return 0;
}
