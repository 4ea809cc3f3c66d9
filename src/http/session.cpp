#include "http/session.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "http/date.hpp"
#include "http/response.hpp"
#include "http/status.hpp"

namespace prong::http {
namespace {

constexpr std::uint16_t kRequestTimeout = 408;
constexpr std::uint16_t kContentTooLarge = 413;
constexpr std::uint16_t kUriTooLong = 414;
constexpr std::uint16_t kFieldsTooLarge = 431;
constexpr std::uint16_t kInternalError = 500;

// Pipelined answers are gathered up to this many bytes and sent together; then the client must first take them.
constexpr std::uint64_t kMostGathered = std::uint64_t{16} << 10U;
// After announce_close(), requests that had arrived together are all answered, but a client that never stops sending
// them is cut off after this many: clients that pipeline at all seldom have more on the way.
constexpr std::uint32_t kMostAnswersAfterClose = 64;
// An input buffer that has been emptied is given back when it is larger.
constexpr std::size_t kMostInputKept = 256;

std::string_view text_of(std::span<const char> bytes) {
  return {bytes.data(), bytes.size()};
}

}  // namespace

Session::Session(Handler& handler, const Limits& limits, Clock clock)
    : handler_(&handler), limits_(&limits), clock_(clock), parser_(limits.max_fields) {}

std::time_t Session::wall_clock() {
  return std::time(nullptr);
}

void Session::receive(std::span<const char> bytes) {
  if (closing_) {
    lingering_ = true;
    return;
  }
  if (!input_.empty()) {
    input_.append(bytes.data(), bytes.size());
    resume();
    return;
  }
  Cursor cursor{.bytes = bytes};
  run(cursor);
  keep(cursor);
}

void Session::receive_end() {
  input_ended_ = true;
  resume();
}

void Session::resume() {
  Cursor cursor{.bytes = input_, .next = parsed_};
  run(cursor);
  keep(cursor);
}

// Answers what is whole, until nothing is or enough output waits.
void Session::run(Cursor& cursor) {
  while (!closing_ && cursor.rest() > 0 && !output_.holds_file() && output_.size() < kMostGathered)
    if (!step(cursor)) break;
  // What is left after the end is not whole and never will be; but output that is too much now is taken up later.
  if (input_ended_ && cursor.rest() == 0) closing_ = true;
}

// Of a buffer: keeps the head of a request that is not whole, and what was not looked at.
void Session::keep(const Cursor& cursor) {
  const Parser::State state = parser_.state();
  const bool in_body = state == Parser::State::kBody || state == Parser::State::kHeadDone;
  const std::size_t head_end = cursor.start + (in_body ? parser_.head().size : cursor.next - cursor.start);
  const std::string_view bytes = text_of(cursor.bytes);
  if (closing_ || cursor.start == bytes.size()) {
    if (input_.capacity() > kMostInputKept) std::string().swap(input_);
    input_.clear();
    parsed_ = 0;
    return;
  }
  parsed_ = head_end - cursor.start;
  if (bytes.data() == input_.data()) {
    input_.erase(head_end, cursor.next - head_end);
    input_.erase(0, cursor.start);
  } else {
    input_.assign(bytes.substr(cursor.start, parsed_));
    input_.append(bytes.substr(cursor.next));
  }
}

// How many bytes more the current request's head or body may have.
std::size_t Session::allowance(const Cursor& cursor) const {
  const Parser::State state = parser_.state();
  if (state == Parser::State::kBody || state == Parser::State::kHeadDone)
    return static_cast<std::size_t>(limits_->max_dropped_body.bytes - body_parsed_);
  return static_cast<std::size_t>(limits_->max_header.bytes) - (cursor.next - cursor.start);
}

// Parses up to the next border between parts of a request. False when the bytes are used up before it.
bool Session::step(Cursor& cursor) {
  const std::size_t allowed = allowance(cursor);
  const bool in_body = parser_.state() == Parser::State::kHeadDone || parser_.state() == Parser::State::kBody;
  const std::size_t before = cursor.next;
  const std::size_t end = cursor.next + std::min(allowed, cursor.rest());
  cursor.next =
      cursor.start + parser_.parse(cursor.bytes.subspan(cursor.start, end - cursor.start), cursor.next - cursor.start);
  if (in_body) body_parsed_ += cursor.next - before;
  switch (parser_.state()) {
    case Parser::State::kBlank:
    case Parser::State::kHead:
      if (cursor.next - before < allowed) return false;
      refuse(cursor, parser_.in_request_line() ? kUriTooLong : kFieldsTooLarge);
      return true;
    case Parser::State::kHeadDone:
      begin_body(cursor);
      return true;
    case Parser::State::kBody:
      if (cursor.next - before < allowed) return false;
      refuse(cursor, kContentTooLarge);
      return true;
    case Parser::State::kComplete:
      complete(cursor);
      return true;
    case Parser::State::kFailed:
      refuse(cursor, parser_.failure());
      return true;
  }
  return false;
}

// The head is whole and a body follows, which is read and dropped. A client that waits for 100 (Continue) gets the
// answer instead, and need not send its body; whether it does cannot be known, so the connection ends there.
void Session::begin_body(const Cursor& cursor) {
  const auto checked = check_head(text_of(cursor.request()).substr(0, parser_.head().size), parser_.head());
  body_parsed_ = 0;
  if (!checked)
    refuse(cursor, checked.error());
  else if (parser_.head().length > limits_->max_dropped_body.bytes)
    refuse(cursor, kContentTooLarge);
  else if (checked->expects_continue)
    answer(cursor, AfterAnswer::kClose);
}

void Session::complete(Cursor& cursor) {
  if (!parser_.head().has_body()) {
    const auto checked = check_head(text_of(cursor.request()).substr(0, parser_.head().size), parser_.head());
    if (!checked) {
      refuse(cursor, checked.error());
      return;
    }
  }
  answer(cursor, after_answer(cursor));
  parser_.reset();
  cursor.start = cursor.next;
}

Session::AfterAnswer Session::after_answer(const Cursor& cursor) {
  if (!parser_.head().keep_alive) return AfterAnswer::kClose;
  if (!close_announced_) return AfterAnswer::kKeepOpen;
  const bool more_arrived = cursor.rest() > 0 && answers_after_close_++ < kMostAnswersAfterClose;
  return more_arrived ? AfterAnswer::kKeepOpen : AfterAnswer::kClose;
}

void Session::answer(const Cursor& cursor, AfterAnswer after) {
  const Request request = make_request(text_of(cursor.request()), parser_.head());
  ++requests_;
  const bool all_read = parser_.state() == Parser::State::kComplete && cursor.rest() == 0;
  if (after == AfterAnswer::kClose) lingering_ = close_announced_ || !all_read;
  send(call_handler(request), request.method, after);
}

Response Session::call_handler(const Request& request) {
  try {
    Answer answer = handler_->handle(request);
    if (auto* const response = std::get_if<Response>(&answer)) return std::move(*response);
  } catch (const std::exception& exception) {
    failure_ = exception.what();
  } catch (...) {
    failure_ = "an exception that is no std::exception";
  }
  return error_response(kInternalError);
}

// Where the next request would begin is not known any more, or not wanted.
void Session::refuse(const Cursor& cursor, std::uint16_t status) {
  const Piece method = parser_.head().method;
  lingering_ = true;
  send(error_response(status), text_of(cursor.request()).substr(method.offset, method.size), AfterAnswer::kClose);
}

void Session::send(Response response, std::string_view method, AfterAnswer after) {
  HeadFields fields{.date = cached_date(clock_()), .server = limits_->server_header};
  // HTTP/1.0 closes unless both sides say otherwise; 1.1 stays open unless one does.
  if (after == AfterAnswer::kClose)
    fields.connection = "close";
  else if (parser_.head().version_minor == 0)
    fields.connection = "keep-alive";
  if (!forbids_body(response.status)) fields.content_length = body_size(response);
  append_head(output_.text(), response, fields);
  closing_ = closing_ || after == AfterAnswer::kClose;
  if (method == "HEAD" || forbids_body(response.status)) return;
  if (auto* const file = std::get_if<FileBody>(&response.body)) output_.append(std::move(*file));
  if (auto* const text = std::get_if<std::string>(&response.body)) output_.append(std::move(*text));
}

void Session::header_timed_out() {
  if (closing_) return;
  const Phase waits_for = phase();
  if (waits_for == Phase::kHeader || waits_for == Phase::kBody)
    refuse({.bytes = input_, .next = parsed_}, kRequestTimeout);
  closing_ = true;
  keep({.bytes = input_, .next = parsed_});
}

Phase Session::phase() const {
  if (!output_.empty()) return Phase::kSending;
  if (closing_) return Phase::kClosed;
  switch (parser_.state()) {
    case Parser::State::kHead:
      return Phase::kHeader;
    case Parser::State::kHeadDone:
    case Parser::State::kBody:
      return Phase::kBody;
    case Parser::State::kBlank:
    case Parser::State::kComplete:
    case Parser::State::kFailed:
      break;
  }
  return Phase::kIdle;
}

}  // namespace prong::http
