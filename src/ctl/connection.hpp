// The connection to a daemon's control socket: one request, one answer. Blocks.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::ctl {

// How long a daemon may take for an answer that needs nothing but its attention.
inline constexpr std::chrono::seconds kPatience{10};

class Connection {
 public:
  // The first of these sockets that somebody listens on. The error says for each why not; its error_number is ENOENT or
  // ECONNREFUSED when no daemon is there, and another one when it is and cannot be reached.
  [[nodiscard]] static Result<Connection> open(const std::vector<std::string>& paths);

  // `line` and the answer have their line ends. Nothing of `patience`: as long as it takes.
  [[nodiscard]] Result<std::string> ask(const std::string& line, std::optional<std::chrono::milliseconds> patience);
  // Until the daemon closes the connection, which it does at its end. What it still sends is not for us.
  void wait_for_end();

 private:
  explicit Connection(os::UniqueFd fd) : fd_(std::move(fd)) {}
  [[nodiscard]] Result<void> send(const std::string& line);

  os::UniqueFd fd_;
  std::string received_;
};

}  // namespace prong::ctl
