#include "app/module/exchange.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <new>
#include <stdexcept>
#include <utility>

#include "base/characters.hpp"
#include "base/escape.hpp"
#include "http/response.hpp"
#include "os/file.hpp"

// What a source writes into.
struct prong_body {
  prong::app::module::Runtime* runtime = nullptr;
  std::uint64_t connection = 0;
  std::string* into = nullptr;  // while read() runs
};

namespace prong::app::module {
namespace {

constexpr std::uint16_t kInternalError = 500;
constexpr std::uint32_t kLeastStatus = 200;
constexpr std::uint32_t kMostStatus = 599;
// What the session says itself.
constexpr std::array<std::string_view, 5> kOwnHeaders{"Date", "Server", "Content-Length", "Transfer-Encoding",
                                                      "Connection"};

class ModuleSource final : public http::BodySource {
 public:
  ModuleSource(const prong_source& source, Runtime& runtime, std::uint64_t connection)
      : source_(source), runtime_(&runtime), body_{.runtime = &runtime, .connection = connection} {}
  ModuleSource(const ModuleSource&) = delete;
  ModuleSource& operator=(const ModuleSource&) = delete;
  ModuleSource(ModuleSource&&) = delete;
  ModuleSource& operator=(ModuleSource&&) = delete;
  ~ModuleSource() override {
    if (source_.close == nullptr) return;
    const Callback::Ending ending(*runtime_, "the close() of a body");
    source_.close(source_.context);
  }

  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    const std::size_t before = into.size();
    body_.into = &into;
    const int said = source_.read(source_.context, &body_, most);
    body_.into = nullptr;
    Callback::check();
    switch (said) {
      case PRONG_BODY_MORE:
        if (into.size() == before)
          throw std::runtime_error("a body's read() said that there is more, and wrote nothing");
        return State::kMore;
      case PRONG_BODY_WAIT:
        if (runtime_->settings().model == Model::kEvent) return State::kWait;
        throw std::runtime_error("a body that waits is for concurrency = \"event\" alone");
      case PRONG_BODY_END:
        return State::kEnd;
      case PRONG_BODY_CUT:
        return State::kFailed;
      default:
        throw std::runtime_error(fmt::format("a body's read() gave {}, which means nothing", said));
    }
  }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override {
    if (source_.length < 0) return std::nullopt;
    return static_cast<std::uint64_t>(source_.length);
  }

 private:
  prong_source source_;
  Runtime* runtime_;
  prong_body body_;
};

// What is wrong with the head of an answer; empty: nothing.
std::string problem_of(const prong_response& head) {
  if (head.status < kLeastStatus || head.status > kMostStatus)
    return fmt::format("an answer cannot have the status {}", head.status);
  for (std::size_t i = 0; i < head.header_count; ++i) {
    const std::string_view name = to_view(head.headers[i].name);
    if (!is_token(name)) return fmt::format("\"{}\" is no name of a header", escaped(name));
    // Bytes that end the line could add a header that the module knows nothing of.
    if (has_control(to_view(head.headers[i].value)))
      return fmt::format("the header {} has a value with a line end or another control character", escaped(name));
    for (const std::string_view own : kOwnHeaders)
      if (http::equals_ignoring_case(name, own)) return fmt::format("the header {} is prongd's own", own);
  }
  return {};
}

// What is wrong with a part of a file as the body of an answer; empty: nothing.
std::string problem_of_file(int descriptor, std::uint64_t offset, std::uint64_t length) {
  const auto info = os::file_info(descriptor);
  if (!info || info->kind != os::FileKind::kRegular)
    return fmt::format("the descriptor {} cannot be sent: it is no regular file", descriptor);
  if (!os::is_open_for_reading(descriptor))
    return fmt::format("the descriptor {} cannot be sent: it is not open for reading", descriptor);
  if (offset > info->size || length > info->size - offset)
    return fmt::format("{} bytes from {} on cannot be sent: the file has {}", length, offset, info->size);
  return {};
}

// The answer without its body. Nothing: it cannot be, which is told in the log.
std::optional<http::Response> make_head(const prong_exchange& exchange, const prong_response& head) {
  if (const std::string problem = problem_of(head); !problem.empty()) {
    exchange.runtime->complain_of_answer(problem);
    return std::nullopt;
  }
  http::Response response{.status = static_cast<std::uint16_t>(head.status)};
  http::ResponseHeaders own;
  http::ResponseHeaders& headers = exchange.scratch != nullptr ? exchange.scratch->headers : own;
  headers.clear();
  for (std::size_t i = 0; i < head.header_count; ++i)
    headers.add(to_view(head.headers[i].name), to_view(head.headers[i].value));
  if (exchange.scratch != nullptr)
    response.headers = http::ResponseHeaders::borrowed(headers.text());
  else
    response.headers = std::move(own);
  return response;
}

int check_open(const prong_exchange* exchange) {
  if (exchange->is_over) return PRONG_TWICE;
  return exchange->is_gone ? PRONG_GONE : PRONG_OK;
}

int give(prong_exchange* exchange, http::Response response) {
  if (!exchange->is_deferred) {
    exchange->is_over = true;
    exchange->response = std::move(response);
    return PRONG_OK;
  }
  Runtime& runtime = *exchange->runtime;
  runtime.answer_later(exchange->connection, std::move(response));  // first: without memory for it nothing has happened
  runtime.end_deferred(exchange);
  return PRONG_OK;
}

// A deferred exchange whose client has gone is over with the answer that it does not get.
int end_if_gone(prong_exchange* exchange, int result) {
  if (result == PRONG_GONE) exchange->runtime->end_deferred(exchange);
  return result;
}

}  // namespace

std::string decoded(std::string_view text, Plus plus) {
  std::string result;
  result.reserve(text.size());
  append_decoded(result, text, plus);
  return result;
}

HostRequest::HostRequest(const http::Request& request)
    : prong_request{}, request_(&request), query_place_{.rest = request.query} {
  size = sizeof(prong_request);
  version_minor = request.version_minor;
  method = to_text(request.method);
  target = to_text(request.target);
  host = to_text(request.host);
  raw_path = to_text(request.path);
  path = request.path.contains('%') ? keep(decoded(request.path, Plus::kIsPlus)) : raw_path;
  prefix = to_text(request.prefix);
  query = to_text(request.query);
  header_count = request.headers.size();
  if (request.body == nullptr) return;
  body_size = request.body->size();
  has_body = true;
  if (!request.body->in_file()) body = to_text(request.body->text());
}

prong_text HostRequest::keep(std::string text) const {
  return to_text(kept_.emplace_front(std::move(text)));
}

int respond(prong_exchange* exchange, const prong_response* response) {
  // From here on it is released, whatever happens.
  std::shared_ptr<const void> owner;
  if (response->release != nullptr)
    owner = std::shared_ptr<const void>(
        response->owner, [release = response->release](const void* held) { release(const_cast<void*>(held)); });
  if (const int closed = check_open(exchange); closed != PRONG_OK) return end_if_gone(exchange, closed);
  auto made = make_head(*exchange, *response);
  if (!made) return PRONG_INVALID;
  const std::string_view body = to_view(response->body);
  if (owner) {
    made->body = http::SharedText{.owner = std::move(owner), .text = body};
  } else if (exchange->scratch != nullptr && body.size() <= http::kMostBorrowedAndCopied) {
    exchange->scratch->body = body;
    made->body = std::string_view(exchange->scratch->body);
  } else {
    made->body = std::string(body);
  }
  return give(exchange, *std::move(made));
}

int respond_file(prong_exchange* exchange, const prong_response* head, int descriptor, std::uint64_t offset,
                 std::uint64_t length) {
  os::UniqueFd file{descriptor};
  if (const int closed = check_open(exchange); closed != PRONG_OK) return end_if_gone(exchange, closed);
  if (const std::string problem = problem_of_file(file.get(), offset, length); !problem.empty()) {
    exchange->runtime->complain_of_answer(problem);
    return PRONG_INVALID;
  }
  auto made = make_head(*exchange, *head);
  if (!made) return PRONG_INVALID;
  made->body =
      http::FileBody{.file = std::make_shared<const os::UniqueFd>(std::move(file)), .offset = offset, .size = length};
  return give(exchange, *std::move(made));
}

int respond_stream(prong_exchange* exchange, const prong_response* head, const prong_source* source) {
  // From here on it is closed, whatever happens.
  std::unique_ptr<ModuleSource> owned{new (std::nothrow)
                                          ModuleSource(*source, *exchange->runtime, exchange->connection)};
  if (owned == nullptr) {
    if (source->close != nullptr) source->close(source->context);
    return PRONG_NO_MEMORY;
  }
  if (source->read == nullptr) return PRONG_INVALID;
  if (const int closed = check_open(exchange); closed != PRONG_OK) return end_if_gone(exchange, closed);
  auto made = make_head(*exchange, *head);
  if (!made) return PRONG_INVALID;
  made->body = std::unique_ptr<http::BodySource>(std::move(owned));
  return give(exchange, *std::move(made));
}

void body_write(prong_body* body, prong_text bytes) {
  if (body->into != nullptr) body->into->append(to_view(bytes));
}

void body_resume(prong_body* body) {
  if (body->runtime->settings().model == Model::kEvent) body->runtime->wake(body->connection);
}

prong_exchange* defer(prong_exchange* exchange) {
  if (exchange->is_deferred || exchange->is_over || exchange->runtime->settings().model != Model::kEvent)
    return nullptr;
  exchange->is_over = true;
  exchange->was_deferred = true;
  return exchange->runtime->defer(exchange->connection);
}

void drop(prong_exchange* exchange) {
  if (!exchange->is_deferred) return;
  if (exchange->is_gone) return exchange->runtime->end_deferred(exchange);
  exchange->runtime->complain_of_answer("an answer that was to come later was dropped");
  (void)give(exchange, http::error_response(kInternalError));
}

}  // namespace prong::app::module
