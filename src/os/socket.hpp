// Thin wrappers of the socket calls: every descriptor is born CLOEXEC and non-blocking, errors carry errno.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

// A socket address of any family with its length.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] int family() const { return storage.ss_family; }
};

[[nodiscard]] Result<UniqueFd> make_socket(int family, int type);
[[nodiscard]] Result<std::pair<UniqueFd, UniqueFd>> make_socket_pair(int type);
[[nodiscard]] Result<void> bind_socket(int fd, const SocketAddress& address);
[[nodiscard]] Result<void> connect_socket(int fd, const SocketAddress& address);
[[nodiscard]] Result<void> listen_on(int fd, int backlog);
[[nodiscard]] Result<SocketAddress> local_address(int fd);
// The process that connected a UNIX socket, as it was then (SO_PEERCRED, unix(7)). Nothing for other sockets.
[[nodiscard]] std::optional<ucred> peer_credentials(int fd);
// Its groups then, the primary one first (SO_PEERGROUPS, Linux 4.13). Empty when they cannot be read.
[[nodiscard]] std::vector<gid_t> peer_groups(int fd);
// `name` is for the message: "TCP_DEFER_ACCEPT".
[[nodiscard]] Result<void> set_option(int fd, int level, int option, std::string_view name, int value);
[[nodiscard]] Result<int> get_option(int fd, int level, int option);

// What an I/O call on a non-blocking socket came to. error is 0, or an errno other than EAGAIN and EINTR.
struct IoResult {
  std::size_t bytes = 0;
  bool would_block = false;
  bool end = false;  // the peer has finished sending (receive), or the file ended early (send_file)
  int error = 0;
};

enum class More : bool { kNo, kYes };  // kYes: MSG_MORE, the kernel waits for the bytes that follow at once

[[nodiscard]] IoResult receive(int fd, std::span<char> buffer);
[[nodiscard]] IoResult send(int fd, std::span<const iovec> parts, More more);
// sendfile(2) from an offset; the file's own position is not used.
[[nodiscard]] IoResult send_file(int socket, int file, std::uint64_t offset, std::size_t count);

struct Accepted {
  UniqueFd fd;  // invalid: see error
  SocketAddress peer;
  int error = 0;  // 0, EAGAIN (nothing waits), or why not
  // Whether the connection died in the queue (accept(2), "Error handling"): the next one may be well.
  [[nodiscard]] bool died_in_queue() const;
};
// The next connection of a listener: CLOEXEC, and non-blocking unless it is for a program, which expects it blocking.
enum class AcceptFor : std::uint8_t { kLoop, kProgram };
[[nodiscard]] Accepted accept_connection(int listener, AcceptFor whom = AcceptFor::kLoop);

// Whether reading, or accepting, would not block now. Does not block.
[[nodiscard]] bool is_readable(int fd);

// Waits until it is readable, for at most that long; false when it is not.
[[nodiscard]] bool wait_readable(int fd, std::chrono::milliseconds patience);

// How many connections wait in a TCP listener's queue: tcpi_unacked on a listening socket (measured in facts.md; Linux
// net/ipv4/tcp.c, tcp_get_info). Nothing for other sockets.
[[nodiscard]] std::optional<std::size_t> accept_queue_length(int listener);

// How long ago the last bytes of the client arrived, in whole milliseconds: asked right after accept(), how long a
// client that has sent its request waited in the queue (TCP_INFO, tcpi_last_data_recv; facts.md). Nothing for other
// sockets.
[[nodiscard]] std::optional<std::chrono::microseconds> time_since_data(int fd);

// One packet of a SOCK_SEQPACKET socket, with at most one descriptor. `fd` is borrowed.
[[nodiscard]] IoResult send_packet(int socket, std::span<const std::byte> bytes, int fd = -1);
// The same with up to kMostPacketFds.
inline constexpr std::size_t kMostPacketFds = 2;
[[nodiscard]] IoResult send_packet(int socket, std::span<const std::byte> bytes, std::span<const int> fds);
struct ReceivedPacket {
  IoResult result;
  UniqueFd fd;
};
[[nodiscard]] ReceivedPacket receive_packet(int socket, std::span<std::byte> buffer);

// Bytes that were sent and that the peer has not acknowledged (TCP), or not read (UNIX sockets): SIOCOUTQ of tcp(7) and
// unix(7).
[[nodiscard]] std::optional<std::uint64_t> unsent_bytes(int fd);

// Lets close(2) reset a TCP connection instead of ending it in order (SO_LINGER of socket(7) with no time).
void reset_on_close(int fd);

// shutdown(2) of the sending side: the peer reads the end of the stream.
void shut_down_sending(int fd);

// net.core.somaxconn: what the kernel cuts every backlog to (listen(2)). Nothing when it cannot be read.
[[nodiscard]] std::optional<unsigned> somaxconn();

}  // namespace prong::os
