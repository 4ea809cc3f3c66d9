#include "app/echo.hpp"

#include <string_view>

namespace prong::app {
namespace {

class EchoStream final : public Stream {
 public:
  void receive(std::string_view bytes, StreamReply& reply) override { reply.send(bytes); }
};

}  // namespace

std::unique_ptr<Stream> Echo::open(const StreamPeer& /*peer*/, StreamReply& /*reply*/) {
  return std::make_unique<EchoStream>();
}

}  // namespace prong::app
