#include "os/systemd.hpp"

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace prong::os {
namespace {

std::vector<SystemdHandover::Socket> take_sockets() {
  std::vector<SystemdHandover::Socket> sockets;
  char** names = nullptr;
  const int count = ::sd_listen_fds_with_names(/*unset_environment=*/1, &names);
  for (int i = 0; i < count; ++i) {
    UniqueFd fd{SD_LISTEN_FDS_START + i};
    // sd_listen_fds() sets CLOEXEC; O_NONBLOCK is the unit's choice, and our loop needs it.
    const int flags = ::fcntl(fd.get(), F_GETFL);
    if (flags >= 0) (void)::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK);
    sockets.push_back({.name = names[i], .fd = std::move(fd)});
  }
  // NOLINTBEGIN(cppcoreguidelines-no-malloc): sd_listen_fds_with_names(3) says that the caller frees them so
  for (int i = 0; i < count; ++i) std::free(names[i]);
  std::free(static_cast<void*>(names));
  // NOLINTEND(cppcoreguidelines-no-malloc)
  return sockets;
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
  if (const char* socket = std::getenv("NOTIFY_SOCKET"); socket != nullptr) {
    handover.notify = true;
    handover.notify_socket = socket;
  }
  (void)::unsetenv("NOTIFY_SOCKET");
  std::uint64_t watchdog_us = 0;
  if (::sd_watchdog_enabled(/*unset_environment=*/1, &watchdog_us) > 0)
    handover.watchdog = std::chrono::microseconds{watchdog_us};
  handover.sockets = take_sockets();
  return handover;
}

void Notifier::send(std::string_view state) const {
  if (!active()) return;
  // libsystemd reads the address from the environment, which the workers must not inherit.
  (void)::setenv("NOTIFY_SOCKET", socket_.c_str(), 1);
  (void)::sd_notify(/*unset_environment=*/1, std::string{state}.c_str());
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
