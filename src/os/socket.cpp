#include "os/socket.hpp"

#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace prong::os {
namespace {

// EINTR counts as "again": the caller's loop comes back, level-triggered.
IoResult io_result(ssize_t count) {
  if (count >= 0) return {.bytes = static_cast<std::size_t>(count)};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {.would_block = true};
  return {.error = errno};
}

}  // namespace

Result<UniqueFd> make_socket(int family, int type) {
  UniqueFd fd{::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd.valid()) return failure(system_error("cannot create a socket", errno));
  return fd;
}

Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair(int type) {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds.data()) != 0)
    return failure(system_error("cannot create a socket pair", errno));
  return std::pair{UniqueFd{fds[0]}, UniqueFd{fds[1]}};
}

Result<void> bind_socket(int fd, const SocketAddress& address) {
  if (::bind(fd, address.get(), address.size) != 0) return failure(system_error("cannot bind", errno));
  return {};
}

Result<void> connect_socket(int fd, const SocketAddress& address) {
  if (::connect(fd, address.get(), address.size) != 0) return failure(system_error("cannot connect", errno));
  return {};
}

Result<void> listen_on(int fd, int backlog) {
  if (::listen(fd, backlog) != 0) return failure(system_error("cannot listen", errno));
  return {};
}

Result<SocketAddress> local_address(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.size) != 0)
    return failure(system_error("cannot read a socket's address", errno));
  return address;
}

std::optional<ucred> peer_credentials(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  // Sockets of other families answer too, with a process 0.
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0 || credentials.pid == 0) return std::nullopt;
  return credentials;
}

std::vector<gid_t> peer_groups(int fd) {
  const auto credentials = peer_credentials(fd);
  if (!credentials) return {};
  constexpr std::size_t kMostGroups = 65'536;  // NGROUPS_MAX of linux/limits.h
  std::vector<gid_t> groups(64);
  auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) {
    // With ERANGE the kernel says how much room they need (net/core/sock.c).
    if (errno != ERANGE || size > kMostGroups * sizeof(gid_t)) return {credentials->gid};
    groups.resize(size / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return {credentials->gid};
  }
  groups.resize(size / sizeof(gid_t));
  groups.insert(groups.begin(), credentials->gid);
  return groups;
}

Result<void> set_option(int fd, int level, int option, std::string_view name, int value) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0)
    return failure(system_error(fmt::format("cannot set {} to {}", name, value), errno));
  return {};
}

Result<int> get_option(int fd, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(fd, level, option, &value, &size) != 0)
    return failure(system_error("cannot read a socket option", errno));
  return value;
}

IoResult receive(int fd, std::span<char> buffer) {
  IoResult result = io_result(::recv(fd, buffer.data(), buffer.size(), 0));
  result.end = result.bytes == 0 && !result.would_block && result.error == 0;
  return result;
}

IoResult send(int fd, std::span<const iovec> parts, More more) {
  const int flags = MSG_NOSIGNAL | (more == More::kYes ? MSG_MORE : 0);
  // The kernel has less to read then.
  if (parts.size() == 1) return io_result(::send(fd, parts.front().iov_base, parts.front().iov_len, flags));
  msghdr message{};
  message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg(2) does not change it
  message.msg_iovlen = parts.size();
  return io_result(::sendmsg(fd, &message, flags));
}

IoResult send_file(int socket, int file, std::uint64_t offset, std::size_t count) {
  auto position = static_cast<off_t>(offset);
  IoResult result = io_result(::sendfile(socket, file, &position, count));
  result.end = result.bytes == 0 && !result.would_block && result.error == 0;
  return result;
}

bool Accepted::died_in_queue() const {
  return error == ECONNABORTED || error == EINTR || error == EPROTO || error == EPERM;
}

Accepted accept_connection(int listener, AcceptFor whom) {
  Accepted accepted;
  accepted.peer.size = sizeof accepted.peer.storage;
  const int flags = SOCK_CLOEXEC | (whom == AcceptFor::kLoop ? SOCK_NONBLOCK : 0);
  accepted.fd.reset(::accept4(listener, accepted.peer.get(), &accepted.peer.size, flags));
  if (!accepted.fd.valid()) accepted.error = errno == EWOULDBLOCK ? EAGAIN : errno;
  return accepted;
}

bool wait_readable(int fd, std::chrono::milliseconds patience) {
  pollfd news{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&news, 1, static_cast<int>(patience.count())) > 0;
}

std::optional<std::size_t> accept_queue_length(int listener) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return info.tcpi_unacked;
}

std::optional<std::chrono::microseconds> time_since_data(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return std::chrono::milliseconds{info.tcpi_last_data_recv};
}

IoResult send_packet(int socket, std::span<const std::byte> bytes, int fd) {
  return send_packet(socket, bytes, std::span{&fd, fd >= 0 ? 1U : 0U});
}

IoResult send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds) {
  fds = fds.first(std::min(fds.size(), kMostPacketFds));
  iovec part{.iov_base = const_cast<std::byte*>(bytes.data()), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostPacketFds * sizeof(int))> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  return io_result(::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT));
}

ReceivedPacket receive_packet(int socket, std::span<std::byte> buffer) {
  ReceivedPacket packet;
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  packet.result = io_result(::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  const IoResult& result = packet.result;
  packet.result.end = result.bytes == 0 && !result.would_block && result.error == 0;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    // The padding leaves room for more than one; what nobody asked for is closed, or a worker could fill our table.
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      UniqueFd received{fd};
      if (i == 0) packet.fd = std::move(received);
    }
  }
  return packet;
}

bool is_readable(int fd) {
  pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&asked, 1, 0) > 0 && (asked.revents & POLLIN) != 0;
}

std::optional<std::uint64_t> unsent_bytes(int fd) {
  int bytes = 0;
  if (::ioctl(fd, SIOCOUTQ, &bytes) != 0 || bytes < 0) return std::nullopt;
  return static_cast<std::uint64_t>(bytes);
}

void reset_on_close(int fd) {
  // UNIX sockets know no reset, and take the option.
  const linger none{.l_onoff = 1, .l_linger = 0};
  (void)::setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

void shut_down_sending(int fd) {
  // ENOTCONN: the peer is gone already, which is as good.
  (void)::shutdown(fd, SHUT_WR);
}

std::optional<unsigned> somaxconn() {
  std::ifstream file{"/proc/sys/net/core/somaxconn"};
  unsigned value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

}  // namespace prong::os
