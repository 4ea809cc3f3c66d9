#include "ctl/connection.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "os/clock.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"

namespace prong::ctl {
namespace {

// The queue of the daemon's socket is full, or what it takes: looked at again so often.
constexpr std::chrono::milliseconds kPause{10};
constexpr std::chrono::hours kForEver{24 * 365};

Result<os::SocketAddress> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return failure(fmt::format("\"{}\" cannot be the path of a socket: it has {} bytes", path, path.size()),
                   fmt::format("the longest has {}", sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  os::SocketAddress result;
  std::memcpy(&result.storage, &address, sizeof address);
  result.size = sizeof address;
  return result;
}

void pause() {
  // Nothing to read from: it only waits.
  auto pair = os::make_socket_pair(SOCK_STREAM);
  if (pair) (void)os::wait_readable(pair->first.get(), kPause);
}

Result<os::UniqueFd> connect(const std::string& path) {
  const auto address = address_of(path);
  if (!address) return failure(address.error());
  auto socket = os::make_socket(AF_UNIX, SOCK_STREAM);
  if (!socket) return failure(std::move(socket.error()));
  const os::TimePoint until = os::now() + kPatience;
  for (;;) {
    auto connected = os::connect_socket(socket->get(), *address);
    if (connected) return std::move(*socket);
    const int error = connected.error().error_number;
    // EAGAIN: its queue is full (unix(7)).
    if (error != EAGAIN || os::now() >= until)
      return failure(Error{.message = fmt::format("{}: {}", path, errno_text(error)), .error_number = error});
    pause();
  }
}

bool nobody_is_there(const Error& error) {
  return error.error_number == ENOENT || error.error_number == ECONNREFUSED;
}

}  // namespace

Result<Connection> Connection::open(const std::vector<std::string>& paths) {
  Error all{.message = "", .error_number = ENOENT};
  for (const std::string& path : paths) {
    auto socket = connect(path);
    if (socket) return Connection{std::move(*socket)};
    if (!nobody_is_there(socket.error())) return failure(std::move(socket.error()));
    all.message += (all.message.empty() ? "" : "; ") + socket.error().message;
  }
  return failure(std::move(all));
}

Result<void> Connection::send(const std::string& line) {
  std::size_t sent = 0;
  while (sent < line.size()) {
    const iovec part{.iov_base = const_cast<char*>(line.data()) + sent, .iov_len = line.size() - sent};
    const os::IoResult result = os::send(fd_.get(), std::span{&part, 1}, os::More::kNo);
    // A daemon that refuses us says why and closes; that can be read still.
    if (result.error == EPIPE || result.error == ECONNRESET) return {};
    if (result.error != 0) return failure(system_error("cannot ask the daemon", result.error));
    if (result.would_block) pause();
    sent += result.bytes;
  }
  return {};
}

Result<std::string> Connection::ask(const std::string& line, std::optional<std::chrono::milliseconds> patience) {
  if (auto sent = send(line); !sent) return failure(std::move(sent.error()));
  const os::TimePoint until = os::now() + (patience ? *patience : std::chrono::milliseconds{kForEver});
  std::array<char, std::size_t{64} << 10U> buffer{};
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      std::string answer = received_.substr(0, end + 1);
      received_.erase(0, end + 1);
      return answer;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - os::now());
    if (left.count() <= 0) return failure("the daemon does not answer", "its log, and `systemctl status`, say more");
    (void)os::wait_readable(fd_.get(), std::min(left, std::chrono::milliseconds{std::chrono::hours{1}}));
    const os::IoResult result = os::receive(fd_.get(), buffer);
    if (result.error != 0) return failure(system_error("cannot read the daemon's answer", result.error));
    if (result.end) return failure("the daemon has closed the connection without an answer", "its log says more");
    received_.append(buffer.data(), result.bytes);
  }
}

void Connection::wait_for_end() {
  std::array<char, 4096> buffer{};
  for (;;) {
    (void)os::wait_readable(fd_.get(), std::chrono::hours{1});
    const os::IoResult result = os::receive(fd_.get(), buffer);
    if (result.end || result.error != 0) return;
  }
}

}  // namespace prong::ctl
