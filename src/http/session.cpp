#include "http/session.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <exception>
#include <utility>

#include "http/date.hpp"
#include "http/failure.hpp"
#include "http/response.hpp"
#include "http/status.hpp"

namespace prong::http {
namespace {

constexpr std::uint16_t kRequestTimeout = 408;
constexpr std::uint16_t kContentTooLarge = 413;
constexpr std::uint16_t kUriTooLong = 414;
constexpr std::uint16_t kFieldsTooLarge = 431;
constexpr std::uint16_t kInternalError = 500;
constexpr std::uint16_t kInsufficientStorage = 507;

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

bool in_body(Parser::State state) {
  return state == Parser::State::kHeadDone || state == Parser::State::kBody;
}

// RFC 9112 section 7.1: the line before the data of a chunk.
void append_chunk_size(std::string& text, std::size_t size) {
  constexpr int kHexadecimal = 16;
  std::array<char, 16> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), size, kHexadecimal);
  text.append(buffer.data(), result.ptr);
  text += "\r\n";
}

}  // namespace

Session::Session(const Context& context) : context_(context), parser_(context.limits->max_fields) {}

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
  if (stage_ == Stage::kStreaming) pull();
  Cursor cursor{.bytes = input_, .next = parsed_};
  run(cursor);
  keep(cursor);
}

void Session::answer(Response response) {
  assert(stage_ == Stage::kAwaiting);
  stage_ = Stage::kReading;
  Cursor cursor{.bytes = input_, .next = parsed_};
  finish_request(cursor, request_at(cursor), std::move(response));
  run(cursor);
  keep(cursor);
}

std::string Session::awaited_request() const {
  if (stage_ != Stage::kAwaiting) return {};
  const RequestHead& head = parser_.head();
  const std::string_view bytes = input_;
  return std::string(bytes.substr(head.method.offset, head.method.size)) + ' ' +
         std::string(bytes.substr(head.target.offset, head.target.size));
}

// Answers what is whole, until nothing is or enough output waits.
void Session::run(Cursor& cursor) {
  while (!closing_ && stage_ == Stage::kReading && cursor.rest() > 0 && !output_.holds_file() &&
         output_.size() < kMostGathered)
    if (!step(cursor)) break;
  // What is left after the end is not whole and never will be; but output that is too much now is taken up later.
  if (input_ended_ && stage_ == Stage::kReading && cursor.rest() == 0) closing_ = true;
}

// Of a buffer: keeps the head of a request that is not whole or not answered, and what was not looked at.
void Session::keep(const Cursor& cursor) {
  const bool head_is_whole = in_body(parser_.state()) || stage_ == Stage::kAwaiting;
  const std::size_t head_end = cursor.start + (head_is_whole ? parser_.head().size : cursor.next - cursor.start);
  const std::string_view bytes = text_of(cursor.bytes);
  if ((closing_ && stage_ != Stage::kAwaiting) || cursor.start == bytes.size()) {
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

// How many bytes more may be parsed before a limit has to be looked at.
std::size_t Session::allowance(const Cursor& cursor) const {
  if (in_body(parser_.state())) return cursor.rest() + 1;
  const ByteSize most = parser_.in_request_line()
                            ? std::min(context_.limits->max_request_line, context_.limits->max_header)
                            : context_.limits->max_header;
  return static_cast<std::size_t>(most.bytes) - (cursor.next - cursor.start);
}

// Parses up to the next border between parts of a request. False when the bytes are used up before it.
bool Session::step(Cursor& cursor) {
  const std::size_t allowed = allowance(cursor);
  const std::size_t before = cursor.next;
  const std::size_t end = cursor.next + std::min(allowed, cursor.rest());
  cursor.next = cursor.start + parser_.parse(cursor.bytes.subspan(cursor.start, end - cursor.start),
                                             cursor.next - cursor.start, intake_.get());
  if (intake_ && !intake_->failure &&
      (intake_->verdict == BodyIntake::Verdict::kTooLargeToDrop || intake_->verdict == BodyIntake::Verdict::kEnough)) {
    // Nobody wants it, and it may be too much to be read for nothing: the answer comes now, and is the last.
    handle(cursor, AfterAnswer::kClose);
    return true;
  }
  if (const std::uint16_t status = body_refusal(); status != 0) {
    refuse(cursor, status);
    return true;
  }
  switch (parser_.state()) {
    case Parser::State::kBlank:
    case Parser::State::kHead:
      if (cursor.next - before < allowed) return false;
      if (parser_.in_request_line())
        refuse(cursor, kUriTooLong);
      else if (cursor.next - cursor.start >= context_.limits->max_header.bytes)
        refuse(cursor, kFieldsTooLarge);
      return true;
    case Parser::State::kHeadDone:
      begin_body(cursor);
      return true;
    case Parser::State::kBody:
      return false;
    case Parser::State::kComplete:
      complete(cursor);
      return true;
    case Parser::State::kFailed:
      refuse(cursor, parser_.failure());
      return true;
  }
  return false;
}

// Why the body, as far as it came, is not taken; 0 when it is.
std::uint16_t Session::body_refusal() const {
  if (!intake_) return 0;
  if (intake_->verdict == BodyIntake::Verdict::kTooLarge) return kContentTooLarge;
  if (!intake_->failure) return 0;
  return intake_->sink != nullptr ? kInternalError : kInsufficientStorage;
}

// The head is whole and a body follows. Who waits for 100 (Continue) and need not send the body gets the answer
// instead; whether the body comes all the same cannot be known, so the connection ends there (RFC 9110 section 10.1.1).
void Session::begin_body(Cursor& cursor) {
  const Limits& limits = *context_.limits;
  RequestHead& head = parser_.head();
  const auto checked = check_head(text_of(cursor.request()).substr(0, head.size), head, limits);
  if (!checked) return refuse(cursor, checked.error());
  if (head.length > limits.max_body.bytes) return refuse(cursor, kContentTooLarge);
  std::unique_ptr<BodySink> sink;
  const std::optional<BodyUse> use = ask_body_use(request_at(cursor), sink);
  if (!use) return refuse(cursor, kInternalError);
  if (context_.observer != nullptr) context_.observer->request_begins();
  intake_ = std::make_unique<BodyIntake>(&limits);
  intake_->sink = std::move(sink);
  if (*use == BodyUse::kKeep) intake_->kept.emplace();
  if (*use != BodyUse::kDrop) {
    if (checked->expects_continue && cursor.rest() == 0) output_.text() += "HTTP/1.1 100 Continue\r\n\r\n";
  } else if (checked->expects_continue || head.length > limits.max_dropped_body.bytes) {
    handle(cursor, AfterAnswer::kClose);
  }
}

void Session::complete(Cursor& cursor) {
  RequestHead& head = parser_.head();
  if (!head.has_body()) {
    const auto checked = check_head(text_of(cursor.request()).substr(0, head.size), head, *context_.limits);
    if (!checked) return refuse(cursor, checked.error());
    if (context_.observer != nullptr) context_.observer->request_begins();
  }
  handle(cursor, head.keep_alive ? AfterAnswer::kKeepOpen : AfterAnswer::kClose);
}

void Session::handle(Cursor& cursor, AfterAnswer after) {
  ++requests_;
  after_ = after;
  const Request request = request_at(cursor);
  Answer answer = call_handler(request);
  if (auto* const response = std::get_if<Response>(&answer))
    finish_request(cursor, request, std::move(*response));
  else
    stage_ = Stage::kAwaiting;
}

// The answer is known: the request's bytes are not needed any more.
void Session::finish_request(Cursor& cursor, const Request& request, Response response) {
  const AfterAnswer after = after_answer(cursor);
  const bool all_read = parser_.state() == Parser::State::kComplete && cursor.rest() == 0;
  is_request_answer_ = true;
  send(request, std::move(response), after);
  // A client that did not ask for the end may be sending the next request by now, and some send an empty line behind a
  // body (RFC 9112 section 2.2).
  if (closing_) lingering_ = after_ == AfterAnswer::kKeepOpen || !all_read || parser_.head().has_body();
  parser_.reset();
  intake_.reset();
  cursor.start = cursor.next;
}

Session::AfterAnswer Session::after_answer(const Cursor& cursor) {
  if (after_ == AfterAnswer::kClose || requests_ >= context_.limits->max_requests) return AfterAnswer::kClose;
  if (!close_announced_) return AfterAnswer::kKeepOpen;
  const bool more_arrived = cursor.rest() > 0 && answers_after_close_++ < kMostAnswersAfterClose;
  return more_arrived ? AfterAnswer::kKeepOpen : AfterAnswer::kClose;
}

Request Session::request_at(const Cursor& cursor) const {
  Request request = make_request(text_of(cursor.request()), parser_.head());
  if (intake_) {
    std::optional<RequestBody>& kept = intake_->kept;
    if (kept) request.body = &*kept;
    request.sink = intake_->sink.get();
  }
  request.peer = context_.peer;
  request.listener = context_.listener;
  request.proxies = context_.proxies;
  request.connection = context_.connection;
  return request;
}

std::optional<BodyUse> Session::ask_body_use(const Request& request, std::unique_ptr<BodySink>& sink) {
  try {
    const BodyUse use = context_.handler->body_use(request);
    if (use == BodyUse::kPass) sink = context_.handler->body_sink(request);
    assert(use != BodyUse::kPass || sink != nullptr);
    return use;
  } catch (const std::exception& exception) {
    failure_ = failure_text(request, exception.what());
  } catch (...) {
    failure_ = failure_text(request, "an exception that is no std::exception");
  }
  return std::nullopt;
}

Answer Session::call_handler(const Request& request) {
  try {
    return context_.handler->handle(request);
  } catch (const std::exception& exception) {
    failure_ = failure_text(request, exception.what());
  } catch (...) {
    failure_ = failure_text(request, "an exception that is no std::exception");
  }
  return error_response(kInternalError);
}

// Where the next request would begin is not known any more, or not wanted.
void Session::refuse(const Cursor& cursor, std::uint16_t status) {
  lingering_ = true;
  if (intake_) intake_->sink.reset();  // the connection may linger, and nobody waits for more
  // Of a head that is not whole, only what the parser has found is known; a request line that is not whole is none.
  const RequestHead& head = parser_.head();
  const std::string_view bytes = text_of(cursor.request());
  Request request{.method = bytes.substr(head.method.offset, head.method.size),
                  .version_minor = head.version_minor,
                  .peer = context_.peer,
                  .listener = context_.listener,
                  .connection = context_.connection};
  if (parser_.knows_version()) request.target = bytes.substr(head.target.offset, head.target.size);
  if (intake_) {
    const std::optional<Error>& failure = intake_->failure;
    if (failure) failure_ = failure_text(request, failure->text());
  }
  send(request, error_response(status), AfterAnswer::kClose);
}

void Session::send(const Request& request, Response response, AfterAnswer after) {
  const std::uint64_t begin = output_.end_of_stream();
  HeadFields fields{.date = cached_date(context_.clock()),
                    .server = context_.limits->server_header && !response.has_server_field};
  const bool has_body = !forbids_body(response.status);
  const std::optional<std::uint64_t> size = body_size(response);
  if (has_body) fields.content_length = size;
  // A body of which nobody knows the size ends with its last chunk, or with the connection.
  const bool is_open_ended = has_body && !fields.content_length;
  fields.chunked = is_open_ended && request.version_minor > 0;
  if (is_open_ended && !fields.chunked && after == AfterAnswer::kKeepOpen) after = AfterAnswer::kClose;
  // HTTP/1.0 closes unless both sides say otherwise; 1.1 stays open unless one does.
  if (after == AfterAnswer::kClose)
    fields.connection = "close";
  else if (request.version_minor == 0)
    fields.connection = "keep-alive";
  append_head(output_.text(), response, fields);
  closing_ = closing_ || after == AfterAnswer::kClose;
  if (context_.observer != nullptr) context_.observer->answer_begins(request, response, begin, output_.end_of_stream());
  if (has_body && request.method != "HEAD") send_body(std::move(response.body), size, fields.chunked);
  if (stage_ == Stage::kReading && !broken_) end_answer();
}

void Session::send_body(Body body, std::optional<std::uint64_t> size, bool chunked) {
  if (auto* const text = std::get_if<std::string>(&body)) return output_.append(std::move(*text));
  if (const auto* const text = std::get_if<std::string_view>(&body)) return output_.append(*text);
  if (auto* const shared = std::get_if<SharedText>(&body)) return output_.append(std::move(*shared));
  if (auto* const file = std::get_if<FileBody>(&body)) return output_.append(std::move(*file));
  if (auto* const parts = std::get_if<std::vector<BodyPart>>(&body)) {
    for (BodyPart& part : *parts) std::visit([this](auto& each) { output_.append(std::move(each)); }, part);
    return;
  }
  auto& source = std::get<std::unique_ptr<BodySource>>(body);
  stream_ = std::make_unique<Stream>(Stream{.source = std::move(source), .left = size, .chunked = chunked});
  stage_ = Stage::kStreaming;
  pull(Pulled::kFirst);
}

// Takes more of a body that is streamed, as long as little of it waits.
void Session::pull(Pulled which) {
  using State = BodySource::State;
  while (stream_ && output_.size() < context_.limits->output_buffer.bytes) {
    std::string data;
    SharedText lent;
    const State state = read_source(data, lent);
    const bool is_empty = data.empty() && lent.text.empty();
    if (lent.text.empty()) {
      const std::size_t size = stream_->take(data.size());
      data.resize(size);
      append_data(std::move(data), size);
    } else {
      const std::size_t size = stream_->take(lent.text.size());
      lent.text = lent.text.substr(0, size);
      append_data(std::move(lent), size);
    }
    if (stream_->is_whole()) return finish_stream(which);
    if (state == State::kWait) return;
    if (state == State::kFailed) return break_off({});
    if (state == State::kEnd && stream_->left) return break_off("an answer ended before its announced size");
    if (state == State::kEnd) return finish_stream(which);
    if (is_empty) return break_off("an application said that its answer goes on, and gave nothing");
  }
}

void Session::finish_stream(Pulled which) {
  if (stream_->chunked) output_.text() += "0\r\n\r\n";
  stream_.reset();
  stage_ = Stage::kReading;
  // The first time it is send() that ends the answer.
  if (which == Pulled::kAgain) end_answer();
}

BodySource::State Session::read_source(std::string& data, SharedText& lent) {
  const std::uint64_t room = context_.limits->output_buffer.bytes - output_.size();
  try {
    lent = stream_->source->lend();
    if (!lent.text.empty()) return BodySource::State::kMore;
    return stream_->source->read(data, static_cast<std::size_t>(room));
  } catch (const std::exception& exception) {
    failure_ = exception.what();
  } catch (...) {
    failure_ = "an exception that is no std::exception";
  }
  return BodySource::State::kFailed;
}

template <class Text>
void Session::append_data(Text data, std::size_t size) {
  if (size == 0) return;
  if (stream_->chunked) append_chunk_size(output_.text(), size);
  output_.append(std::move(data));
  if (stream_->chunked) output_.text() += "\r\n";
}

void Session::end_answer() {
  if (std::exchange(is_request_answer_, false)) ++answered_;
  if (context_.observer != nullptr) context_.observer->answer_ends(output_.end_of_stream());
}

void Session::break_off(std::string_view why) {
  if (!why.empty()) failure_ = why;
  stream_.reset();
  stage_ = Stage::kReading;
  closing_ = true;
  broken_ = true;
}

void Session::request_timed_out() {
  if (closing_ || stage_ != Stage::kReading) return;
  const Phase waits_for = phase();
  if (waits_for == Phase::kHeader || waits_for == Phase::kBody)
    refuse({.bytes = input_, .next = parsed_}, kRequestTimeout);
  closing_ = true;
  keep({.bytes = input_, .next = parsed_});
}

Phase Session::phase() const {
  if (!output_.empty()) return Phase::kSending;
  if (stage_ != Stage::kReading) return Phase::kHandling;
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
