#include "worker/shown_call.hpp"

namespace prong::worker {

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
