#include "os/notify_socket.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "os/socket.hpp"

namespace prong::os {

Result<NotifySocket> NotifySocket::create() {
  auto fd = make_socket(AF_UNIX, SOCK_DGRAM);
  if (!fd) return failure("cannot create a notify socket", std::move(fd.error()));
  if (auto set = set_option(fd->get(), SOL_SOCKET, SO_PASSCRED, "SO_PASSCRED", 1); !set)
    return failure(std::move(set.error()));
  SocketAddress any;
  any.storage.ss_family = AF_UNIX;
  any.size = sizeof(sa_family_t);
  if (auto bound = bind_socket(fd->get(), any); !bound)
    return failure("cannot name a notify socket", std::move(bound.error()));
  auto address = local_address(fd->get());
  if (!address) return failure(std::move(address.error()));
  const auto* name = reinterpret_cast<const sockaddr_un*>(&address->storage);
  // The first byte of an abstract name is NUL, which NOTIFY_SOCKET writes as "@".
  const std::size_t size = address->size - offsetof(sockaddr_un, sun_path);
  return NotifySocket{std::move(*fd),
                      fmt::format("@{}", std::string_view{static_cast<const char*>(name->sun_path) + 1, size - 1})};
}

std::optional<NotifySocket::Datagram> NotifySocket::receive() const {
  std::array<char, kLargest> buffer{};
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  // Room for the credentials, which come first, and for nothing else: the kernel installs no descriptor without room
  // for its number (unix(7), SCM_RIGHTS; MSG_CTRUNC).
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) return std::nullopt;
  Datagram datagram;
  if ((message.msg_flags & MSG_TRUNC) == 0) datagram.text.assign(buffer.data(), static_cast<std::size_t>(count));
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS) {
    ucred credentials{};
    std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
    datagram.sender = credentials.uid;
  }
  return datagram;
}

}  // namespace prong::os
