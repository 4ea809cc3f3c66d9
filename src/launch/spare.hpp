// A spare worker that the launcher has made: waits for one connection and becomes the program that serves it.
//
// What worker/exec_connection.hpp says holds here too; that one is the spare that prongd forks itself, which checks the
// program first. This one shares the launcher's memory, so it writes to its own Errand and stack and nowhere else: no
// errno, no heap, nothing of the C library that has a state.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>

#include "ipc/launch.hpp"

namespace prong::launch {

// The same for all spares of a launcher.
struct Settings {
  pid_t master = 0;
  int death_signal = 0;
  bool asks_first = false;
  int channel = -1;  // the launcher's, which a spare closes
  int signals = -1;  // a signalfd for SIGTERM
  std::array<int, ipc::kMostLaunchListeners> listeners{};
  std::size_t listener_count = 0;
  const char* path = nullptr;
  char* const* arguments = nullptr;
  char* const* environment = nullptr;
};

// How many variables a connection adds (app/ucspi.hpp).
inline constexpr std::size_t kMostVariables = 6;
// Room for them: two UNIX paths of 108 bytes are the longest.
inline constexpr std::size_t kVariableRoom = 512;

// What one spare has for itself. All zeros at first: room for many is then no part of the file.
struct Errand {
  const Settings* settings = nullptr;
  int channel = 0;
  int errors = 0;  // becomes standard error
  std::array<char, kVariableRoom> variables{};
  const char** environment = nullptr;  // room for the pool's, kMostVariables and the null at the end
};

// The life of a spare: the exit status. `errand` is an Errand.
int live(void* errand);

}  // namespace prong::launch
