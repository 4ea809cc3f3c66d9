// How a packet of the channel begins, for whoever writes or reads one without the classes of messages.hpp: the static
// program prongd-launch (src/launch) links nothing.
#pragma once

#include <cstdint>

namespace prong::ipc {

// Bumped when a message changes its meaning; a worker of another version is refused at its first packet.
inline constexpr std::uint8_t kProtocolVersion = 1;

// The second byte; what follows is laid out in messages.cpp.
enum class Tag : std::uint8_t {
  kReady = 1,
  kStartFailed,
  kRetiring,
  kServe,
  kStop,
  kLogReopened,
  kLetGo,
  kAccessLogReopened,
  kTaken,
  kExecuting,
  kProceed,
  kWantsToRetire,
  kReloadWanted,
  kLogLevelChanged,
  kHold,
  kStuck,
};

}  // namespace prong::ipc
