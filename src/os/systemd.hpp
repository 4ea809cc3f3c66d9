// The only room of libsystemd: readiness and watchdog, socket activation, the journal.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

// What systemd told us through the environment, taken out of it so that no worker and no program inherits it
// (sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3)).
struct SystemdHandover {
  struct Socket {
    std::string name;  // FileDescriptorName=; "unknown" when the unit gives none
    UniqueFd fd;
  };
  bool notify = false;  // NOTIFY_SOCKET was set
  std::string notify_socket;
  std::optional<std::chrono::microseconds> watchdog;  // WATCHDOG_USEC, if it is for this process
  std::vector<Socket> sockets;
};

// Call once, before any fork and any thread. Descriptors become CLOEXEC and non-blocking.
[[nodiscard]] SystemdHandover take_systemd_handover();

// Lines of sd_notify(3), newline-separated: "READY=1\nSTATUS=...". Does nothing when systemd did not start us. A
// failure is not reported: there is nobody else to tell, and the service goes on.
class Notifier {
 public:
  Notifier() = default;
  explicit Notifier(std::string socket) : socket_(std::move(socket)) {}
  void send(std::string_view state) const;
  [[nodiscard]] bool active() const { return !socket_.empty(); }

 private:
  std::string socket_;
};

// True when standard error is the journal's own stream (systemd.exec(5), $JOURNAL_STREAM).
[[nodiscard]] bool stderr_is_journal();

// The journal's native protocol (systemd's docs "Native Journal Protocol"), over a socket that we own. Not
// sd_journal_sendv(3): that keeps a hidden descriptor, which a worker closes with all others after the fork, and whose
// number may then belong to a client's connection.
class JournalSocket {
 public:
  struct Field {
    std::string_view name;  // upper case
    std::string_view value;
  };
  JournalSocket() = default;
  [[nodiscard]] static Result<JournalSocket> open();
  // Sends one entry. Never blocks; an errno value when it was not taken (EAGAIN: the journal does not keep up), else 0.
  [[nodiscard]] int send(std::span<const Field> fields) const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit JournalSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace prong::os
