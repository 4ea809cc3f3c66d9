// The echo service of RFC 862: sends back every byte, in order, and ends when the client ends. The reference for what a
// stream application is, and for measuring what streams cost.
#pragma once

#include <memory>

#include "app/stream.hpp"

namespace prong::app {

class Echo final : public StreamHandler {
 public:
  // Never blocks; safe to use from several threads.
  [[nodiscard]] std::unique_ptr<Stream> open(const StreamPeer& peer, StreamReply& reply) override;
};

}  // namespace prong::app
