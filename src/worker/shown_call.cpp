#include "worker/shown_call.hpp"

#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace prong::worker {
namespace {

class ShownSource final : public http::BodySource {
 public:
  ShownSource(const ShownSource&) = delete;
  ShownSource& operator=(const ShownSource&) = delete;
  ShownSource(ShownSource&&) = delete;
  ShownSource& operator=(ShownSource&&) = delete;
  // The application hears of the end of its body.
  ~ShownSource() override {
    const ShownCall shown{calls_, call()};
    source_.reset();
  }
  ShownSource(std::unique_ptr<http::BodySource> source, ShownCalls& calls, const http::Request& request)
      : source_(std::move(source)),
        calls_(&calls),
        method_(request.method),
        target_(request.target),
        peer_(peer_bytes(request.peer)) {}
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return source_->size(); }
  [[nodiscard]] http::SharedText lend() override {
    const ShownCall shown{calls_, call()};
    return source_->lend();
  }
  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    const ShownCall shown{calls_, call()};
    return source_->read(into, most);
  }

 private:
  [[nodiscard]] ipc::Call call() const {
    return {.phase = ipc::ThreadPhase::kBody, .method = method_, .target = target_, .peer = peer_};
  }

  std::unique_ptr<http::BodySource> source_;
  ShownCalls* calls_;
  std::string method_;
  std::string target_;
  ipc::PeerBytes peer_;
};

// The same for the pieces of a body that the application takes.
class ShownSink final : public http::BodySink {
 public:
  ShownSink(const ShownSink&) = delete;
  ShownSink& operator=(const ShownSink&) = delete;
  ShownSink(ShownSink&&) = delete;
  ShownSink& operator=(ShownSink&&) = delete;
  ~ShownSink() override {
    const ShownCall shown{calls_, call()};
    sink_.reset();
  }
  ShownSink(std::unique_ptr<http::BodySink> sink, ShownCalls& calls, const http::Request& request)
      : sink_(std::move(sink)),
        calls_(&calls),
        method_(request.method),
        target_(request.target),
        peer_(peer_bytes(request.peer)) {}
  [[nodiscard]] Wants take(std::string_view bytes) override {
    const ShownCall shown{calls_, call()};
    return sink_->take(bytes);
  }
  [[nodiscard]] http::BodySink* inner() const { return sink_.get(); }

 private:
  [[nodiscard]] ipc::Call call() const {
    return {.phase = ipc::ThreadPhase::kRequest, .method = method_, .target = target_, .peer = peer_};
  }

  std::unique_ptr<http::BodySink> sink_;
  ShownCalls* calls_;
  std::string method_;
  std::string target_;
  ipc::PeerBytes peer_;
};

}  // namespace

http::BodyUse ShownHandler::body_use(const http::Request& request) {
  const ShownCall shown{calls_, call_of(request)};
  return handler_->body_use(request);
}

std::unique_ptr<http::BodySink> ShownHandler::body_sink(const http::Request& request) {
  const ShownCall shown{calls_, call_of(request)};
  return std::make_unique<ShownSink>(handler_->body_sink(request), *calls_, request);
}

// The application gets the sink that it made.
http::Answer ShownHandler::handle_with_sink(const http::Request& request) {
  http::Request own = request;
  // Made by body_sink() above. NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast)
  own.sink = static_cast<ShownSink*>(request.sink)->inner();
  return handler_->handle(own);
}

http::Answer ShownHandler::handle(const http::Request& request) {
  const ShownCall shown{calls_, call_of(request)};
  http::Answer answer = request.sink == nullptr ? handler_->handle(request) : handle_with_sink(request);
  if (auto* const response = std::get_if<http::Response>(&answer)) show_body(*response, *calls_, request);
  return answer;
}

void show_body(http::Response& response, ShownCalls& calls, const http::Request& request) {
  if (auto* const source = std::get_if<std::unique_ptr<http::BodySource>>(&response.body))
    *source = std::make_unique<ShownSource>(std::move(*source), calls, request);
}

ipc::Call call_of(const http::Request& request) {
  return {.phase = ipc::ThreadPhase::kRequest,
          .method = request.method,
          .target = request.target,
          .peer = peer_bytes(request.peer)};
}

ipc::PeerBytes peer_bytes(const net::Endpoint& peer) {
  using Family = ipc::PeerBytes::Family;
  ipc::PeerBytes bytes{.address = peer.address.bytes, .port = peer.port};
  switch (peer.address.family) {
    case net::IpAddress::Family::kNone:
      break;
    case net::IpAddress::Family::kV4:
      bytes.family = Family::kV4;
      break;
    case net::IpAddress::Family::kV6:
      bytes.family = Family::kV6;
      break;
  }
  return bytes;
}

}  // namespace prong::worker
