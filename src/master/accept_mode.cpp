#include "master/accept_mode.hpp"

#include <algorithm>
#include <ranges>

#include "log/log.hpp"
#include "os/execute.hpp"

namespace prong::master {
namespace {

const config::ExecConfig* listener_program(const Pool& pool) {
  return serves_by_spares(pool) ? nullptr : exec_of(pool);
}

// The program of style "listener" that a generation runs on an address; nullptr: none.
const config::ExecConfig* program_on(const Generation* generation, const std::string& address) {
  if (generation == nullptr) return nullptr;
  for (const Pool& pool : generation->pools)
    if (std::ranges::find(pool.listeners, address) != pool.listeners.end()) return listener_program(pool);
  return nullptr;
}

// Another release in another directory is the same kind of program.
bool treats_sockets_alike(const config::ExecConfig& a, const config::ExecConfig& b) {
  return a.command == b.command && a.nonblocking == b.nonblocking;
}

}  // namespace

void AcceptModes::prepare(const Generation& raising, const Generation* serving) {
  changes_.clear();
  for (const Pool& pool : raising.pools) {
    const config::ExecConfig* const program = listener_program(pool);
    if (program == nullptr) continue;
    for (const std::string& address : pool.listeners) {
      const config::ExecConfig* const before = program_on(serving, address);
      if (before == nullptr || !treats_sockets_alike(*before, *program)) set(address, program->nonblocking);
    }
  }
}

void AcceptModes::commit(const Generation& serving) {
  for (const Pool& pool : serving.pools)
    if (listener_program(pool) == nullptr)
      for (const std::string& address : pool.listeners) set(address, true);
  changes_.clear();
}

void AcceptModes::roll_back() {
  for (const Change& change : std::views::reverse(changes_)) {
    const net::Listener* const listener = listeners_->find(change.address);
    if (listener == nullptr) continue;
    const auto set = os::set_nonblocking(listener->descriptors().at(change.number), change.was_nonblocking);
    if (!set) log::error(MessageCode::kAcceptModeNotSet, "listener {}: {}", change.address, set.error().text());
  }
  changes_.clear();
}

void AcceptModes::set(const std::string& address, bool nonblocking) {
  const net::Listener* const listener = listeners_->find(address);
  if (listener == nullptr) return;
  const std::vector<int> descriptors = listener->descriptors();
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    const auto was = os::set_nonblocking(descriptors[i], nonblocking);
    if (was)
      changes_.push_back({.address = address, .number = i, .was_nonblocking = *was});
    else
      log::error(MessageCode::kAcceptModeNotSet, "listener {}: {}", address, was.error().text());
  }
}

}  // namespace prong::master
