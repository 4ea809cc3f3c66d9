#include "ipc/channel.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "os/socket.hpp"

namespace prong::ipc {

Result<std::pair<Channel, Channel>> Channel::create_pair() {
  auto pair = os::make_socket_pair(SOCK_SEQPACKET);
  if (!pair) return failure("cannot create a channel", std::move(pair.error()));
  return std::pair{Channel{std::move(pair->first)}, Channel{std::move(pair->second)}};
}

Result<void> Channel::send(const Message& message, int fd) const {
  const os::IoResult result = os::send_packet(fd_.get(), encode(message), fd);
  if (result.would_block) return failure(system_error("cannot write to the channel", EAGAIN));
  if (result.error != 0) return failure(system_error("cannot write to the channel", result.error));
  return {};
}

Channel::Received Channel::receive() const {
  // One byte more than allowed, so that a packet that is too large shows as one.
  std::array<std::byte, kLargestPacket + 1> buffer{};
  os::ReceivedPacket packet = os::receive_packet(fd_.get(), buffer);
  const os::IoResult& result = packet.result;
  if (result.would_block) return {.kind = Kind::kNothing};
  if (result.end || result.error != 0) return {.kind = Kind::kEnd};  // ECONNRESET: gone with packets unread
  if (result.bytes > kLargestPacket) return {.kind = Kind::kGarbage};
  auto message = decode(std::span{buffer}.first(result.bytes));
  if (!message) return {.kind = Kind::kGarbage};
  return {.kind = Kind::kMessage, .message = std::move(*message), .fd = std::move(packet.fd)};
}

}  // namespace prong::ipc
