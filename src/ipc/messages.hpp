// What the master and a worker say to each other over the channel.
//
// One packet is one message. A message is a tag and its fields, laid out by hand and not by memcpy of a struct, because
// the two ends will not always be the same program: a wsgi worker is an interpreter that loaded our extension module
// (design.md section 7). The master takes every byte from a worker as untrusted.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/units.hpp"

namespace prong::ipc {

// Worker to master: the application is loaded. The worker accepts nothing before Serve.
struct Ready {
  bool operator==(const Ready&) const = default;
};
// Worker to master: it cannot start, and why. Its exit follows.
struct StartFailed {
  std::string reason;
  bool operator==(const StartFailed&) const = default;
};
// Worker to master: it was told to drain by somebody else than the master.
struct Retiring {
  std::string reason;
  bool operator==(const Retiring&) const = default;
};

// Worker to master: it drains, because a request overran request_timeout and its thread is lost.
struct Stuck {
  std::string reason;
  bool operator==(const Stuck&) const = default;
};

// Worker to master: it has reached a limit of its pool (max_requests, ...) and wants to be replaced. It goes on serving
// until Stop.
struct WantsToRetire {
  std::string reason;
  bool operator==(const WantsToRetire&) const = default;
};

// Worker to master: the code that it runs has changed on disk, and its pool wants that to be a reload.
struct ReloadWanted {
  std::string reason;
  bool operator==(const ReloadWanted&) const = default;
};

// Worker to master: it drains, and has closed its listeners.
struct LetGo {
  bool operator==(const LetGo&) const = default;
};

// Worker to master: it holds a connection from this peer (the host without its port; empty for a UNIX socket) and is
// about to become the program that serves it. The end of the channel, which is close-on-exec, says that it has.
struct Taken {
  std::string address;
  bool operator==(const Taken&) const = default;
};
// Worker to master: it is about to become a program that accepts by itself. The end of the channel says that it has; a
// StartFailed that it could not.
struct Executing {
  bool operator==(const Executing&) const = default;
};

// Master to worker: accept connections from now on.
struct Serve {
  bool operator==(const Serve&) const = default;
};
// Master to worker: accept no connection until the next Serve. Those that are open go on.
struct Hold {
  bool operator==(const Hold&) const = default;
};
// Master to worker, the answer to Taken in a pool with a limit for each address: not allowed means that the worker
// closes the connection and goes on accepting.
struct Proceed {
  bool allowed = true;
  bool operator==(const Proceed&) const = default;
};
// Master to worker: drain. Connections that are still open after `grace` are cut; idle ones, which may bring one more
// request, after `idle_grace`. Bit i of `serve_backlog` says that
// nobody else accepts from listener i any more, so what waits in its queue is this worker's to serve.
struct Stop {
  Duration grace{};
  Duration idle_grace{};
  std::uint64_t serve_backlog = 0;
  bool operator==(const Stop&) const = default;
};
// Master to worker: the log file was reopened; the packet carries the new descriptor.
struct LogReopened {
  bool operator==(const LogReopened&) const = default;
};

// Master to worker: the pool's access log was reopened; the packet carries the new descriptor.
struct AccessLogReopened {
  bool operator==(const AccessLogReopened&) const = default;
};

// Master to worker: which lines are written from now on, the least important one: 0 debug, 1 info, 2 warn, 3 error.
struct LogLevelChanged {
  static constexpr std::uint64_t kMostLevel = 3;
  std::uint64_t level = 0;
  bool operator==(const LogLevelChanged&) const = default;
};

using Message = std::variant<Ready, StartFailed, Retiring, Stuck, WantsToRetire, ReloadWanted, LetGo, Taken, Executing,
                             Serve, Hold, Proceed, Stop, LogReopened, AccessLogReopened, LogLevelChanged>;

// Longer texts are cut by encode().
inline constexpr std::size_t kLargestText = 4096;
// A packet is never larger.
inline constexpr std::size_t kLargestPacket = kLargestText + 64;

[[nodiscard]] std::vector<std::byte> encode(const Message& message);
// Nothing when the bytes are not exactly one well-formed message.
[[nodiscard]] std::optional<Message> decode(std::span<const std::byte> bytes);

}  // namespace prong::ipc
