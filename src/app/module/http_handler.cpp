#include "app/module/http_handler.hpp"

#include <fmt/format.h>

#include <array>
#include <span>
#include <stdexcept>
#include <utility>
#include <variant>

#include "base/escape.hpp"

namespace prong::app::module {
namespace {

// Of a body that the module takes piece by piece, as it comes from a file.
constexpr std::size_t kPieceSize = 64U << 10U;

// What the module makes of one body.
class ModuleSink final : public http::BodySink {
 public:
  ModuleSink(Runtime& runtime, void* upload) : runtime_(&runtime), upload_(upload) {}
  ModuleSink(const ModuleSink&) = delete;
  ModuleSink& operator=(const ModuleSink&) = delete;
  ModuleSink(ModuleSink&&) = delete;
  ModuleSink& operator=(ModuleSink&&) = delete;
  ~ModuleSink() override {
    if (runtime_->module().end_upload == nullptr) return;
    const Callback::Ending ending(*runtime_, "its end_upload()");
    runtime_->module().end_upload(runtime_->state(), upload_);
  }

  [[nodiscard]] Wants take(std::string_view bytes) override {
    const prong_module& module = runtime_->module();
    if (module.piece == nullptr) return Wants::kMore;
    const int said = module.piece(runtime_->state(), upload_, to_text(bytes));
    Callback::check();
    if (said < 0) throw std::runtime_error(fmt::format("the module's piece() gave {}", said));
    return said == PRONG_OK ? Wants::kMore : Wants::kNothing;
  }
  [[nodiscard]] void* upload() const { return upload_; }

 private:
  Runtime* runtime_;
  void* upload_;
};

// What the module wants of a body; the sink if it wants pieces.
http::BodyUse ask(Runtime& runtime, const HostRequest& host, std::unique_ptr<http::BodySink>& sink) {
  void* upload = nullptr;
  const int said = runtime.module().body(runtime.state(), &host, &upload);
  if (said == PRONG_BODY_PIECES) sink = std::make_unique<ModuleSink>(runtime, upload);
  Callback::check();
  switch (said) {
    case PRONG_BODY_KEEP:
      return http::BodyUse::kKeep;
    case PRONG_BODY_DROP:
      return http::BodyUse::kDrop;
    case PRONG_BODY_PIECES:
      return http::BodyUse::kPass;
    default:
      throw std::runtime_error(fmt::format("the module's body() gave {}, which means nothing", said));
  }
}

void pass(http::BodySink& sink, const http::RequestBody& body) {
  if (!body.in_file()) {
    if (body.size() > 0) (void)sink.take(body.text());
    return;
  }
  std::array<char, kPieceSize> buffer{};
  for (std::uint64_t offset = 0; offset < body.size();) {
    const auto read = body.read(offset, buffer);
    if (!read) throw std::runtime_error(read.error().text());
    if (*read == 0) throw std::runtime_error("the body of a request is shorter than it was");
    offset += *read;
    if (sink.take({buffer.data(), *read}) == http::BodySink::Wants::kNothing) return;
  }
}

}  // namespace

std::unique_ptr<http::Handler> Runtime::make_handler() {
  return std::make_unique<HttpHandler>(*this);
}

http::BodyUse HttpHandler::body_use(const http::Request& request) {
  if (runtime_->module().body == nullptr || runtime_->settings().model != Model::kEvent) return http::BodyUse::kKeep;
  const HostRequest host(request);
  std::unique_ptr<http::BodySink> sink;  // which ends here if the module fails
  const http::BodyUse use = ask(*runtime_, host, sink);
  next_sink_ = std::move(sink);
  return use;
}

std::unique_ptr<http::BodySink> HttpHandler::body_sink(const http::Request& /*request*/) {
  return std::move(next_sink_);
}

http::Answer HttpHandler::handle(const http::Request& request) {
  const HostRequest host(request);
  if (request.sink != nullptr)
    // Made by body_use(). NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast)
    return call(request, host, static_cast<ModuleSink*>(request.sink)->upload());
  const bool has_body = request.body != nullptr &&
                        (request.body->size() > 0 || request.headers.find("Transfer-Encoding"));  // which may be empty
  if (runtime_->settings().model == Model::kEvent || runtime_->module().body == nullptr || !has_body)
    return call(request, host, nullptr);
  return call_with_kept_body(request, host);
}

// On an application thread: the module is asked now what it wants of the body, which is there.
http::Answer HttpHandler::call_with_kept_body(const http::Request& request, const HostRequest& host) {
  std::unique_ptr<http::BodySink> sink;
  const http::BodyUse use = ask(*runtime_, host, sink);
  if (use == http::BodyUse::kKeep) return call(request, host, nullptr);
  http::Request without = request;
  without.body = nullptr;
  if (use == http::BodyUse::kDrop) return call(without, HostRequest(without), nullptr);
  pass(*sink, *request.body);
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): made by ask()
  return call(without, HostRequest(without), static_cast<ModuleSink&>(*sink).upload());
}

http::Answer HttpHandler::call(const http::Request& request, const HostRequest& host, void* upload) {
  prong_exchange exchange{.runtime = runtime_, .connection = request.connection, .scratch = &scratch_};
  runtime_->module().request(runtime_->state(), &host, &exchange, upload);
  const auto failed = Callback::take_failure();
  if (failed && !exchange.was_deferred) throw std::runtime_error(*failed);
  if (exchange.response) return *std::move(exchange.response);
  if (!exchange.was_deferred) throw std::runtime_error("the module returned without an answer");
  if (failed) runtime_->complain_of_answer(escaped(*failed));
  if (auto answer = runtime_->take_answer(request.connection)) return *std::move(answer);
  return http::Later{};
}

http::DescriptorNeeds HttpHandler::descriptor_needs() const {
  constexpr std::size_t kOwn = 16;  // of the module: its watches, files that it has open
  return {.held = kOwn, .per_answer = 1};
}

std::optional<os::TimePoint> HttpHandler::do_housekeeping(os::TimePoint now) {
  if (runtime_->settings().model != Model::kEvent) runtime_->keep_house(now);  // there the I/O thread sees to it
  return std::nullopt;
}

}  // namespace prong::app::module
