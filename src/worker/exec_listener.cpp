#include "worker/exec_listener.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <string_view>
#include <utility>
#include <vector>

#include "log/log.hpp"
#include "os/execute.hpp"
#include "os/signals.hpp"
#include "worker/exec_worker.hpp"

namespace prong::worker {
namespace {

constexpr int kFirstSocket = 3;  // SD_LISTEN_FDS_START of sd_listen_fds(3)

void add_variables(app::Program& program, const ipc::Inheritance& inheritance) {
  program.add("LISTEN_FDS", fmt::format("{}", inheritance.listeners.size()));
  program.add("LISTEN_PID", fmt::format("{}", ::getpid()));
  program.add("LISTEN_FDNAMES", names_of_sockets(inheritance));
  if (!inheritance.notify_address.empty()) program.add("NOTIFY_SOCKET", inheritance.notify_address);
}

// The sockets to 3 and on, standard output and error to the pipe. All that is still needed moves out of the way first.
Result<void> place_descriptors(const ipc::Inheritance& inheritance, ipc::Channel& channel) {
  const int above = kFirstSocket + static_cast<int>(inheritance.listeners.size());
  auto channel_fd = os::duplicate_above(channel.fd(), above);
  if (!channel_fd) return failure(std::move(channel_fd.error()));
  channel = ipc::Channel{os::UniqueFd{*channel_fd}};
  std::vector<int> sockets;
  for (const ipc::InheritedListener& listener : inheritance.listeners) {
    auto copy = os::duplicate_above(listener.fd, above);
    if (!copy) return failure(std::move(copy.error()));
    sockets.push_back(*copy);
  }
  for (const int target : {STDOUT_FILENO, STDERR_FILENO})
    if (inheritance.stderr_fd >= 0)
      if (auto placed = os::place_descriptor(inheritance.stderr_fd, target); !placed) return placed;
  int number = kFirstSocket;
  for (const int socket : sockets)
    if (auto placed = os::place_descriptor(socket, number++); !placed) return placed;
  return {};
}

}  // namespace

std::string names_of_sockets(const ipc::Inheritance& inheritance) {
  constexpr std::string_view kOfSystemd = "systemd:";
  std::string names;
  for (const ipc::InheritedListener& listener : inheritance.listeners) {
    const std::string_view address = listener.address;
    if (!names.empty()) names += ':';
    names += address.starts_with(kOfSystemd) ? address.substr(kOfSystemd.size()) : std::string_view{inheritance.pool};
  }
  return names;
}

int become_listener(const ipc::Inheritance& inheritance, ipc::Channel& channel, app::Program program) {
  add_variables(program, inheritance);
  if (auto said = send_surely(channel, ipc::Executing{}); !said) return 1;  // the master is gone
  auto placed = place_descriptors(inheritance, channel);
  os::unblock_all_signals();
  const Error error = placed ? program.become() : placed.error();
  (void)send_surely(channel, ipc::StartFailed{.reason = error.text()});  // nobody else is left to be told
  return kCannotExecute;
}

}  // namespace prong::worker
