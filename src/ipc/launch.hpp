// What passes between prongd and prongd-launch, the launcher of a pool's spare workers (src/launch/launch.cpp says why
// there is one). Both come from one build; the version is for the day on which one of them was replaced alone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace prong::ipc {

// Bumped with every change below.
inline constexpr int kLaunchVersion = 1;

// The launcher's arguments: argv[1] is a line of decimal numbers, one blank between two of them, in the order of this
// enum and then the descriptors of the listeners; argv[2] is the program's path, argv[3] and on are its arguments. Its
// environment is the program's. Descriptors that are named are open and not close-on-exec yet.
enum class LaunchNumber : std::uint8_t {
  kVersion,
  kChannel,      // to the master, SOCK_SEQPACKET
  kMaster,       // the master's pid
  kDeathSignal,  // what a spare gets when the master dies
  kAsksFirst,    // 1: a spare waits for Proceed before it becomes the program
  kListeners,    // how many follow
};
inline constexpr std::size_t kLaunchNumbers = 6;
inline constexpr std::size_t kMostLaunchListeners = 64;

// Master to launcher: one more spare. The packet carries its end of the channel and the pipe of its standard error, in
// this order.
struct LaunchOrder {
  std::uint32_t number = 0;  // comes back
};

// What a report begins with. Before it is the launcher the process is a worker, whose messages begin otherwise
// (messages.hpp).
inline constexpr std::uint32_t kLaunchMagic = 0x6e6c7270;

// Launcher to master: at its start with number 0 and pid 0: it takes orders; then the answer to each order.
struct LaunchReport {
  std::uint32_t magic = kLaunchMagic;
  std::uint32_t number = 0;
  std::int32_t pid = 0;  // of the spare, which is a child of the master and waits for connections; or -errno
};

}  // namespace prong::ipc
