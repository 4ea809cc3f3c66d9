#include "master/launcher.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <utility>

#include "base/escape.hpp"
#include "ipc/launch.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"

namespace prong::master {
namespace {

struct Report {
  Heard heard = Heard::kNothing;  // kReady: there is a report
  ipc::LaunchReport report = {};
};

Result<Report> read_report(const Launcher& launcher) {
  std::array<std::byte, ipc::kLargestPacket> buffer{};
  const os::ReceivedPacket packet = os::receive_packet(launcher.channel.fd(), buffer);
  if (packet.result.would_block) return Report{};
  if (packet.result.end || packet.result.error != 0) return Report{.heard = Heard::kEnd};
  const auto bytes = std::span{buffer}.first(packet.result.bytes);
  ipc::LaunchReport report{};
  if (bytes.size() == sizeof report) std::memcpy(&report, bytes.data(), sizeof report);
  if (bytes.size() == sizeof report && report.magic == ipc::kLaunchMagic)
    return Report{.heard = Heard::kReady, .report = report};
  // Before its exec it is a worker, and says so why it cannot start.
  if (const auto message = ipc::decode(bytes))
    if (const auto* failed = std::get_if<ipc::StartFailed>(&*message))
      return failure(escaped(failed->reason, ipc::kLargestText, Quotes::kKeep));
  return failure("it said something that is not a report");
}

NoSpare broken(Error error) {
  return {.because = NoSpareBecause::kBroken, .error = std::move(error)};
}

}  // namespace

std::variant<pid_t, NoSpare> order_spare(Launcher& launcher, int channel, int errors) {
  const ipc::LaunchOrder order{.number = ++launcher.orders};
  const std::array<int, 2> fds{channel, errors};
  const os::IoResult sent = os::send_packet(launcher.channel.fd(), std::as_bytes(std::span{&order, 1}), std::span{fds});
  if (sent.error == EPIPE || sent.error == ECONNRESET) return NoSpare{.because = NoSpareBecause::kGone};
  if (sent.would_block || sent.error != 0)
    return broken(system_error("cannot write to it", sent.would_block ? EAGAIN : sent.error));
  if (!os::wait_readable(launcher.channel.fd(), kLaunchPatience)) return broken({.message = "it does not answer"});
  const auto answer = read_report(launcher);
  if (!answer) return broken(answer.error());
  if (answer->heard == Heard::kEnd) return NoSpare{.because = NoSpareBecause::kGone};
  if (answer->heard != Heard::kReady || answer->report.number != order.number)
    return broken({.message = "it said something that it was not asked for"});
  const pid_t pid = answer->report.pid;
  if (pid < 0) return NoSpare{.because = NoSpareBecause::kCannotFork, .error = system_error("cannot fork", -pid)};
  // Untrusted: it runs as the pool's user, and the master sends signals to this pid.
  if (!os::is_child(pid)) return broken({.message = "it named a process that is no child of the master"});
  return pid;
}

Result<Heard> hear_launcher(const Launcher& launcher) {
  const auto heard = read_report(launcher);
  if (!heard) return failure(heard.error());
  if (heard->heard == Heard::kReady && (launcher.ready || heard->report.number != 0))
    return failure("it said something that it was not asked for");
  return heard->heard;
}

}  // namespace prong::master
