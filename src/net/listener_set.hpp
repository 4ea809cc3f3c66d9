// The listeners of the daemon, found by address. A reload adds to it before the commit and removes after it; an
// address that both generations have is never closed, so what waits in its queue survives.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "net/listener.hpp"
#include "os/systemd.hpp"

namespace prong::net {

class ListenerSet {
 public:
  // `offered`: the sockets that systemd passed. Kept for good, so that a later reload can take one up again.
  explicit ListenerSet(std::vector<os::SystemdHandover::Socket> offered) : offered_(std::move(offered)) {}

  // Makes sure that there is a listener of this address and that it can have these options. True: it is new.
  [[nodiscard]] Result<bool> ensure(const Address& address, const ListenOptions& options);

  // The listener of that canonical address, or nothing. Valid until it is removed.
  [[nodiscard]] Listener* find(const std::string& address) const;

  // The canonical addresses of all.
  [[nodiscard]] std::set<std::string> addresses() const;

  // Unlinks and closes all that are not in `addresses`; returns the addresses of those.
  std::vector<std::string> retain_only(const std::set<std::string>& addresses);

  // Unlinks and closes all, also what systemd passed and nobody took.
  void close_all();

  // FileDescriptorNames that systemd passed and no listener uses.
  [[nodiscard]] std::set<std::string> unused_systemd_names() const;

 private:
  [[nodiscard]] Result<Listener> open(const Address& address, const ListenOptions& options) const;

  std::vector<os::SystemdHandover::Socket> offered_;
  std::vector<std::unique_ptr<Listener>> listeners_;
};

}  // namespace prong::net
