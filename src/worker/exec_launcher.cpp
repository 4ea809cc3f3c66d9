#include "worker/exec_launcher.hpp"

#include <fmt/format.h>

#include <csignal>
#include <string>
#include <utility>

#include "ipc/launch.hpp"
#include "os/execute.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"

namespace prong::worker {
namespace {

// As ipc::LaunchNumber orders them.
std::string numbers_of(const ipc::Inheritance& inheritance, const config::ExecConfig& exec, int channel) {
  std::string text = fmt::format("{} {} {} {} {} {}", ipc::kLaunchVersion, channel, inheritance.master_pid,
                                 os::signal_number(exec.stop_signal).value_or(SIGTERM),
                                 exec.max_per_address > 0 ? 1 : 0, inheritance.listeners.size());
  for (const ipc::InheritedListener& listener : inheritance.listeners) text += fmt::format(" {}", listener.fd);
  return text;
}

}  // namespace

Error become_launcher(const ipc::Inheritance& inheritance, const config::ExecConfig& exec, const ipc::Channel& channel,
                      app::Program program) {
  if (inheritance.listeners.size() > ipc::kMostLaunchListeners) return {.message = "too many listeners for a launcher"};
  Result<void> kept = os::set_close_on_exec(channel.fd(), false);
  for (const ipc::InheritedListener& listener : inheritance.listeners)
    if (kept) kept = os::set_close_on_exec(listener.fd, false);
  if (!kept) return kept.error();
  return program.become_by(inheritance.launcher_fd,
                           {fmt::format("prongd: {}/launcher gen={}", inheritance.pool, inheritance.generation),
                            numbers_of(inheritance, exec, channel.fd())});
}

}  // namespace prong::worker
