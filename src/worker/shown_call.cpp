#include "worker/shown_call.hpp"

#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace prong::worker {
namespace {

class ShownSource final : public http::BodySource {
 public:
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

}  // namespace

http::Answer ShownHandler::handle(const http::Request& request) {
  const ShownCall shown{calls_, call_of(request)};
  http::Answer answer = handler_->handle(request);
  if (auto* const response = std::get_if<http::Response>(&answer))
    if (auto* const source = std::get_if<std::unique_ptr<http::BodySource>>(&response->body))
      *source = std::make_unique<ShownSource>(std::move(*source), *calls_, request);
  return answer;
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
