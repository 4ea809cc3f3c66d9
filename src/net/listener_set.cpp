#include "net/listener_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/join.hpp"
#include "os/process.hpp"

namespace prong::net {

Result<Listener> ListenerSet::open(const Address& address, const ListenOptions& options) const {
  if (address.kind != AddressKind::kSystemd) return Listener::open(address, options);
  std::vector<os::UniqueFd> sockets;
  std::set<std::string> names;
  for (const auto& socket : offered_) {
    names.insert(socket.name);
    if (socket.name != address.name) continue;
    // A copy: the original stays for a later reload.
    auto copy = os::duplicate(socket.fd.get());
    if (!copy) return failure(std::move(copy.error()));
    sockets.emplace_back(*copy);
  }
  if (sockets.empty())
    return failure(fmt::format("systemd passed no socket named \"{}\"", address.name),
                   names.empty() ? "no socket was passed at all: start prongd by its socket unit"
                                 : fmt::format("it passed: {}", joined(names)));
  return Listener::adopt(address, std::move(sockets), options);
}

Result<bool> ListenerSet::ensure(const Address& address, const ListenOptions& options) {
  if (const Listener* present = find(address.text); present != nullptr) {
    if (auto possible = present->can_update(options); !possible) return failure(std::move(possible.error()));
    return false;
  }
  auto opened = open(address, options);
  if (!opened) return failure(std::move(opened.error()));
  listeners_.push_back(std::make_unique<Listener>(std::move(*opened)));
  return true;
}

Listener* ListenerSet::find(const std::string& address) const {
  for (const auto& listener : listeners_)
    if (listener->address().text == address) return listener.get();
  return nullptr;
}

std::set<std::string> ListenerSet::addresses() const {
  std::set<std::string> all;
  for (const auto& listener : listeners_) all.insert(listener->address().text);
  return all;
}

std::vector<std::string> ListenerSet::retain_only(const std::set<std::string>& addresses) {
  std::vector<std::string> closed;
  std::erase_if(listeners_, [&](const std::unique_ptr<Listener>& listener) {
    if (addresses.contains(listener->address().text)) return false;
    listener->unlink();
    closed.push_back(listener->address().text);
    return true;
  });
  return closed;
}

void ListenerSet::close_all() {
  (void)retain_only({});
  offered_.clear();
}

std::set<std::string> ListenerSet::unused_systemd_names() const {
  std::set<std::string> unused;
  for (const auto& socket : offered_)
    if (find(fmt::format("systemd:{}", socket.name)) == nullptr) unused.insert(socket.name);
  return unused;
}

}  // namespace prong::net
