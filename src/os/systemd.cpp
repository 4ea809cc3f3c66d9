#include "os/systemd.hpp"

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <utility>

namespace prong::os {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START of sd_listen_fds(3)

// The variable, taken out of the environment.
std::optional<std::string> take_variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string taken{value};
  (void)::unsetenv(name);
  return taken;
}

template <class Number>
std::optional<Number> number_in(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  Number number{};
  const char* const end = text->data() + text->size();
  const auto [rest, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return number;
}

std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const std::size_t end = text.find(':');
    names.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return names;
    text.remove_prefix(end + 1);
  }
}

std::vector<SystemdHandover::Socket> take_sockets() {
  const auto pid = number_in<pid_t>(take_variable("LISTEN_PID"));
  const auto count = number_in<int>(take_variable("LISTEN_FDS"));
  const auto written = take_variable("LISTEN_FDNAMES");
  std::vector<SystemdHandover::Socket> sockets;
  if (pid != ::getpid() || !count || *count <= 0) return sockets;  // for another process, or nothing
  const auto wanted = static_cast<std::size_t>(*count);
  const auto names = written ? split_names(*written) : std::vector<std::string>(wanted, "unknown");
  if (names.size() != wanted) return sockets;
  for (std::size_t i = 0; i < wanted; ++i) {
    const int fd = kFirstSocket + static_cast<int>(i);
    const int flags = ::fcntl(fd, F_GETFL);
    // Closed: what was said of the sockets is not true, as sd_listen_fds(3) finds too.
    if (flags < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return {};
    // O_NONBLOCK is the unit's choice, and our loop needs it.
    (void)::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    sockets.push_back({.name = names[i], .fd = UniqueFd{fd}});
  }
  return sockets;
}

std::optional<std::chrono::microseconds> take_watchdog() {
  const auto interval = number_in<std::uint64_t>(take_variable("WATCHDOG_USEC"));
  const auto for_pid = take_variable("WATCHDOG_PID");
  if (!interval || *interval == 0 || *interval > static_cast<std::uint64_t>(std::chrono::microseconds::max().count()))
    return std::nullopt;
  if (for_pid && number_in<pid_t>(for_pid) != ::getpid()) return std::nullopt;
  return std::chrono::microseconds{*interval};
}

constexpr std::string_view kJournalPath = "/run/systemd/journal/socket";

sockaddr_un journal_address() {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  kJournalPath.copy(static_cast<char*>(address.sun_path), kJournalPath.size());
  return address;
}

}  // namespace

SystemdHandover take_systemd_handover() {
  SystemdHandover handover;
  if (auto socket = take_variable("NOTIFY_SOCKET")) {
    handover.notify = true;
    handover.notify_socket = std::move(*socket);
  }
  handover.watchdog = take_watchdog();
  handover.sockets = take_sockets();
  return handover;
}

void Notifier::send(std::string_view state) const {
  sockaddr_un address{};
  // A path, or "@" for an abstract name (sd_notify(3)); with its terminating NUL it must fit.
  if ((!socket_.starts_with('/') && !socket_.starts_with('@')) || socket_.size() >= sizeof address.sun_path) return;
  address.sun_family = AF_UNIX;
  char* const name = static_cast<char*>(address.sun_path);
  socket_.copy(name, socket_.size());
  if (name[0] == '@') name[0] = '\0';
  const UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  (void)::sendto(fd.get(), state.data(), state.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), size);
}

bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  if (stream == nullptr) return false;
  struct stat status{};
  if (::fstat(STDERR_FILENO, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

Result<JournalSocket> JournalSocket::open() {
  const UniqueFd fd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!fd.valid()) return failure(system_error("cannot create the journal's socket", errno));
  const sockaddr_un address = journal_address();
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return failure(system_error(fmt::format("cannot reach the journal at \"{}\"", kJournalPath), errno));
  // Only to see that it is there: a restarted journald makes a new socket, so each entry names the path again.
  return JournalSocket{UniqueFd{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)}};
}

int JournalSocket::send(std::span<const Field> fields) const {
  std::string entry;
  for (const Field& field : fields) {
    entry += field.name;
    if (field.value.find('\n') == std::string_view::npos) {
      entry += '=';
    } else {
      // A value with line breaks: name, newline, 64-bit little-endian size, bytes.
      entry += '\n';
      const std::uint64_t size = htole64(field.value.size());
      entry.append(reinterpret_cast<const char*>(&size), sizeof size);
    }
    entry += field.value;
    entry += '\n';
  }
  const sockaddr_un address = journal_address();
  const ssize_t sent = ::sendto(fd_.get(), entry.data(), entry.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                                reinterpret_cast<const sockaddr*>(&address), sizeof address);
  return sent >= 0 ? 0 : errno;
}

}  // namespace prong::os
