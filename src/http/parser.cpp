#include "http/parser.hpp"

#include <llhttp.h>

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

#include "base/characters.hpp"
#include "http/chunk_framing.hpp"

namespace prong::http {
namespace {

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kContentTooLarge = 413;
constexpr std::uint16_t kTooManyFields = 431;
constexpr std::uint16_t kNotImplemented = 501;
constexpr std::uint16_t kVersionNotSupported = 505;

// The table of positions stays with an idle connection up to this many fields (16 bytes each): more than browsers send.
constexpr std::size_t kMostFieldsKept = 32;

bool is_version(std::string_view text) {
  return text.size() == 3 && is_digit(text[0]) && text[1] == '.' && is_digit(text[2]);
}

// "WORD target HTTP/1.1\r", of which the word is known to be one.
bool is_line_of_request(std::string_view line) {
  constexpr std::size_t kVersionSize = std::string_view(" HTTP/1.1\r").size();
  const std::size_t target = line.find(' ') + 1;
  if (line.size() <= target + kVersionSize) return false;
  const std::string_view version = line.substr(line.size() - kVersionSize);
  return version.starts_with(" HTTP/") && is_version(version.substr(6, 3)) && version.ends_with('\r');
}

// Methods of RTSP, and of the preface of HTTP/2, that llhttp knows and takes for no request of HTTP/1.
bool knows_for_others(std::uint8_t method) {
  return method == HTTP_PRI || (method >= HTTP_DESCRIBE && method <= HTTP_FLUSH);
}

}  // namespace

struct Parser::Implementation {
  explicit Implementation(std::size_t fields) : max_fields(fields) { reset(); }

  void reset();
  [[nodiscard]] std::size_t parse(std::span<const char> request, std::size_t next, BodyIntake* into);
  [[nodiscard]] bool is_framing(const char* end);
  [[nodiscard]] std::uint16_t classify(std::span<const char> request, llhttp_errno_t error) const;
  void judge_unknown_method(std::span<const char> request);
  [[nodiscard]] bool lacks_version(std::span<const char> request) const;
  int fail(std::uint16_t status);
  [[nodiscard]] std::uint32_t offset(const char* at) const { return static_cast<std::uint32_t>(at - begin); }
  void extend(Piece& piece, const char* at, std::size_t size) const;

  // llhttp calls these. A text that is cut by the end of a call comes in several parts, each where the last one ended.
  static Implementation& of(llhttp_t* parser) { return *static_cast<Implementation*>(parser->data); }
  static int on_message_begin(llhttp_t* parser);
  static int on_method(llhttp_t* parser, const char* at, std::size_t size);
  static int on_url(llhttp_t* parser, const char* at, std::size_t size);
  static int on_version(llhttp_t* parser, const char* at, std::size_t size);
  static int on_version_complete(llhttp_t* parser);
  static int on_header_field(llhttp_t* parser, const char* at, std::size_t size);
  static int on_header_field_complete(llhttp_t* parser);
  static int on_headers_complete(llhttp_t* parser);
  static int on_body(llhttp_t* parser, const char* at, std::size_t size);
  static int on_chunk_header(llhttp_t* parser);
  static int on_message_complete(llhttp_t* parser);
  static llhttp_settings_t make_settings();

  llhttp_t llhttp = {};
  RequestHead head_found = {};
  const char* begin = nullptr;         // the request's first byte, during a call
  BodyIntake* intake = nullptr;        // during a call
  const char* framing_from = nullptr;  // during a call, in a chunked body: behind the last byte of data
  ChunkFraming framing = {};
  std::size_t max_fields;
  std::uint16_t failure = 0;
  State state = State::kBlank;
  bool version_seen = false;   // its first byte
  bool version_known = false;  // it is 1.0 or 1.1
  bool method_unknown = false;
  bool in_name = false;  // the last field's name may go on
};

llhttp_settings_t Parser::Implementation::make_settings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_message_begin = on_message_begin;
  settings.on_method = on_method;
  settings.on_url = on_url;
  settings.on_version = on_version;
  settings.on_version_complete = on_version_complete;
  settings.on_header_field = on_header_field;
  settings.on_header_field_complete = on_header_field_complete;
  settings.on_headers_complete = on_headers_complete;
  settings.on_body = on_body;
  settings.on_chunk_header = on_chunk_header;
  settings.on_message_complete = on_message_complete;
  return settings;
}

void Parser::Implementation::reset() {
  static const llhttp_settings_t settings = make_settings();
  llhttp_init(&llhttp, HTTP_REQUEST, &settings);
  llhttp.data = this;
  std::vector<HeaderPosition> fields = std::move(head_found.fields);
  fields.clear();
  if (fields.capacity() > kMostFieldsKept) fields.shrink_to_fit();
  head_found = {.fields = std::move(fields)};
  failure = 0;
  state = State::kBlank;
  version_seen = false;
  version_known = false;
  method_unknown = false;
  in_name = false;
  framing = {};
}

std::size_t Parser::Implementation::parse(std::span<const char> request, std::size_t next, BodyIntake* into) {
  assert(state != State::kComplete && state != State::kFailed);
  begin = request.data();
  intake = into;
  if (method_unknown) {
    judge_unknown_method(request);
    return request.size();
  }
  const char* const from = request.data() + next;
  if (state == State::kHeadDone) {
    llhttp_resume(&llhttp);
    state = State::kBody;
  }
  const bool in_chunks = state == State::kBody && head_found.chunked;
  framing_from = from;
  llhttp_errno_t error = llhttp_execute(&llhttp, from, request.size() - next);
  const bool paused = error == HPE_PAUSED;
  const char* const reached = paused ? llhttp_get_error_pos(&llhttp) : request.data() + request.size();
  if (in_chunks && (paused || error == HPE_OK) && !is_framing(reached)) error = HPE_USER;
  if (error == HPE_OK && lacks_version(request)) {
    failure = kBadRequest;
    error = HPE_USER;
  }
  if (error == HPE_OK) return request.size();
  if (error == HPE_PAUSED) {
    const auto end = static_cast<std::size_t>(reached - request.data());
    if (state == State::kHeadDone || !head_found.has_body()) head_found.size = static_cast<std::uint32_t>(end);
    return end;
  }
  if (error == HPE_INVALID_METHOD || (!version_seen && knows_for_others(llhttp.method))) {
    method_unknown = true;
    state = State::kHead;
    judge_unknown_method(request);
    return request.size();
  }
  if (failure == 0) failure = classify(request, error);
  state = State::kFailed;
  return request.size();
}

// The byte behind the target is there, and no version can follow: "GET /" and the end of the line, HTTP/0.9.
bool Parser::Implementation::lacks_version(std::span<const char> request) const {
  const std::size_t target_end = std::size_t{head_found.target.offset} + head_found.target.size;
  return state == State::kHead && !version_seen && head_found.target.size > 0 && request.size() > target_end &&
         (request[target_end] == '\r' || request[target_end] == '\n');
}

// llhttp knows a fixed set of versions and stops at the first byte that fits none of them.
std::uint16_t Parser::Implementation::classify(std::span<const char> request, llhttp_errno_t error) const {
  if (error != HPE_INVALID_VERSION || version_known) return kBadRequest;
  const auto at = static_cast<std::size_t>(llhttp_get_error_pos(&llhttp) - request.data());
  if (at < 3) return kBadRequest;
  // "2.3" before the place of the error is a version; "11" or "1.x" is none.
  return is_version(std::string_view(request.data(), request.size()).substr(at - 3, 3)) ? kVersionNotSupported
                                                                                        : kBadRequest;
}

// llhttp knows a fixed set of methods, too. Whether the first line is a request with another one, which is 501 (RFC
// 9110 section 9.1), or nonsense, may show only when it is whole.
void Parser::Implementation::judge_unknown_method(std::span<const char> request) {
  std::string_view line(request.data(), request.size());
  line.remove_prefix(std::min(line.find_first_not_of("\r\n"), line.size()));
  const std::string_view method = line.substr(0, line.find(' '));
  const std::size_t end = line.find('\n');
  const bool is_method = is_token(method);
  if (is_method && end == std::string_view::npos) return;
  failure = is_method && is_line_of_request(line.substr(0, end)) ? kNotImplemented : kBadRequest;
  state = State::kFailed;
}

// Looks at what stood between the data of chunks.
bool Parser::Implementation::is_framing(const char* end) {
  const std::string_view bytes(framing_from, static_cast<std::size_t>(end - framing_from));
  framing_from = end;
  failure = framing.check(bytes, intake->size);
  return failure == 0;
}

int Parser::Implementation::fail(std::uint16_t status) {
  failure = status;
  return HPE_USER;
}

void Parser::Implementation::extend(Piece& piece, const char* at, std::size_t size) const {
  if (piece.size == 0) piece.offset = offset(at);
  piece.size += static_cast<std::uint32_t>(size);
}

int Parser::Implementation::on_message_begin(llhttp_t* parser) {
  of(parser).state = State::kHead;
  return HPE_OK;
}

int Parser::Implementation::on_method(llhttp_t* parser, const char* at, std::size_t size) {
  Implementation& self = of(parser);
  self.extend(self.head_found.method, at, size);
  return HPE_OK;
}

int Parser::Implementation::on_url(llhttp_t* parser, const char* at, std::size_t size) {
  Implementation& self = of(parser);
  self.extend(self.head_found.target, at, size);
  return HPE_OK;
}

int Parser::Implementation::on_version(llhttp_t* parser, const char* /*at*/, std::size_t /*size*/) {
  of(parser).version_seen = true;
  return HPE_OK;
}

int Parser::Implementation::on_version_complete(llhttp_t* parser) {
  Implementation& self = of(parser);
  if (parser->http_major != 1 || parser->http_minor > 1) return self.fail(kVersionNotSupported);
  self.head_found.version_minor = parser->http_minor;
  self.version_known = true;
  return HPE_OK;
}

int Parser::Implementation::on_header_field(llhttp_t* parser, const char* at, std::size_t size) {
  Implementation& self = of(parser);
  if (size == 0) return HPE_OK;
  const bool begins = !std::exchange(self.in_name, true);
  // A trailer is read and dropped.
  if (self.state != State::kHead) return HPE_OK;
  std::vector<HeaderPosition>& fields = self.head_found.fields;
  if (begins) fields.push_back({.name_offset = self.offset(at)});
  fields.back().name_size += static_cast<std::uint32_t>(size);
  return HPE_OK;
}

int Parser::Implementation::on_header_field_complete(llhttp_t* parser) {
  Implementation& self = of(parser);
  if (!std::exchange(self.in_name, false)) return self.fail(kBadRequest);  // it has no name
  return self.head_found.fields.size() > self.max_fields ? self.fail(kTooManyFields) : HPE_OK;
}

int Parser::Implementation::on_headers_complete(llhttp_t* parser) {
  Implementation& self = of(parser);
  RequestHead& head = self.head_found;
  // "GET /" without a version is HTTP/0.9.
  if (!self.version_seen) return self.fail(kBadRequest);
  head.chunked = (parser->flags & F_CHUNKED) != 0;
  head.length = head.chunked ? 0 : parser->content_length;
  // RFC 9110 section 7.8: a server may ignore Upgrade, and goes on in HTTP/1.1.
  parser->upgrade = 0;
  if (!head.has_body()) return HPE_OK;
  self.state = State::kHeadDone;
  return HPE_PAUSED;
}

int Parser::Implementation::on_body(llhttp_t* parser, const char* at, std::size_t size) {
  Implementation& self = of(parser);
  if (self.head_found.chunked) {
    if (!self.is_framing(at)) return HPE_USER;
    self.framing_from = at + size;
  }
  self.intake->take({at, size});
  return HPE_OK;
}

// A size that is too large is refused before its data comes, which may be never.
int Parser::Implementation::on_chunk_header(llhttp_t* parser) {
  Implementation& self = of(parser);
  self.intake->judge(parser->content_length);
  return self.intake->verdict == BodyIntake::Verdict::kFine ? HPE_OK : self.fail(kContentTooLarge);
}

int Parser::Implementation::on_message_complete(llhttp_t* parser) {
  of(parser).state = State::kComplete;
  return HPE_PAUSED;
}

Parser::Parser(std::size_t max_fields) : implementation_(std::make_unique<Implementation>(max_fields)) {}
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;
Parser::~Parser() = default;

std::size_t Parser::parse(std::span<const char> request, std::size_t next, BodyIntake* intake) {
  return implementation_->parse(request, next, intake);
}

Parser::State Parser::state() const {
  return implementation_->state;
}
std::uint16_t Parser::failure() const {
  return implementation_->failure;
}

bool Parser::in_request_line() const {
  return implementation_->state == State::kBlank ||
         (implementation_->state == State::kHead && !implementation_->version_seen);
}

bool Parser::knows_version() const {
  return implementation_->version_known;
}

RequestHead& Parser::head() {
  return implementation_->head_found;
}
const RequestHead& Parser::head() const {
  return implementation_->head_found;
}

void Parser::reset() {
  implementation_->reset();
}

}  // namespace prong::http
