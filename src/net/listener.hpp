// A bound, listening address. Runs in the master; workers inherit the descriptors.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/units.hpp"
#include "net/address.hpp"
#include "os/unique_fd.hpp"

namespace prong::net {

struct ListenOptions {
  std::uint32_t backlog = 4096;
  bool reuse_address = true;
  bool v6only = true;
  Duration defer_accept{};
  bool keepalive = true;
  bool nodelay = true;
  bool free_bind = false;
  std::optional<ByteSize> receive_buffer;
  std::optional<ByteSize> send_buffer;
  mode_t mode = 0666;          // of a UNIX socket file
  std::optional<uid_t> owner;  // of a UNIX socket file
  std::optional<gid_t> group;
  bool operator==(const ListenOptions&) const = default;
};

class Listener {
 public:
  // Binds and listens. A UNIX socket file that nobody answers on is stale and is replaced; a live one is an error, and
  // so is anything that is not a socket.
  [[nodiscard]] static Result<Listener> open(const Address& address, const ListenOptions& options);
  // Takes over sockets that systemd bound. They must be listening stream sockets.
  [[nodiscard]] static Result<Listener> adopt(const Address& address, std::vector<os::UniqueFd> sockets,
                                              const ListenOptions& options);

  // Whether update() can bring a running listener to these options; an error that says what needs a restart, if not.
  [[nodiscard]] Result<void> can_update(const ListenOptions& options) const;
  // Sets what can change while the socket is in use. Nothing is lost when it fails.
  [[nodiscard]] Result<void> update(const ListenOptions& options);

  // Removes the socket file, if we made it and it is still ours. Clients from now on are refused.
  void unlink();
  // Closes the descriptors of this process. The queue lives on in those who inherited them.
  void close() { sockets_.clear(); }

  [[nodiscard]] const Address& address() const { return address_; }
  // The address with the port that the kernel chose when 0 was asked for.
  [[nodiscard]] std::string bound_text() const;
  [[nodiscard]] std::vector<int> descriptors() const;

 private:
  // Which file a UNIX socket of ours is: never unlink another's.
  struct FileIdentity {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileIdentity&) const = default;
  };
  Listener(Address address, ListenOptions options) : address_(std::move(address)), options_(options) {}
  [[nodiscard]] Result<void> bind_and_listen();
  [[nodiscard]] Result<void> bind_unix_path(int fd);
  [[nodiscard]] Result<void> apply_live_options() const;
  [[nodiscard]] Result<void> set_owner() const;
  [[nodiscard]] Result<void> update_file() const;
  [[nodiscard]] static std::optional<FileIdentity> identify(const std::string& path);

  Address address_;
  ListenOptions options_;
  std::vector<os::UniqueFd> sockets_;
  std::optional<FileIdentity> file_;
};

// A warning when the kernel cuts the backlog to net.core.somaxconn without saying so (listen(2)).
[[nodiscard]] std::optional<std::string> backlog_warning(const ListenOptions& options);

}  // namespace prong::net
