// What a worker gets from the master at its fork, and nothing else: plain values and descriptor numbers, so that the
// record can later cross an exec as well (design.md section 7).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ipc/scoreboard.hpp"
#include "os/users.hpp"

namespace prong::ipc {

struct InheritedListener {
  int fd = -1;
  std::uint32_t number = 0;  // which of the pool's `listen`: the bit in Stop::serve_backlog
  std::string address;       // for messages
};

// Descriptors are borrowed: in the worker they are open until it closes them by number.
struct Inheritance {
  std::string pool;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  pid_t master_pid = 0;
  // Whom the worker becomes; nothing: it stays who the master is. Looked up by the master, once for a generation: it
  // may take long, or ask the network (NSS).
  std::optional<os::Identity> identity = {};
  int channel_fd = -1;
  std::vector<InheritedListener> listeners;  // numbers below 64
  std::vector<int> log_fds;
  int access_log_fd = -1;  // -1: the pool has none
  // Of pools that run programs: the pipe whose lines become lines of the process log, for standard error (-1: none),
  // and the value of NOTIFY_SOCKET (sd_notify(3)) of a program that says itself when it is ready (empty: none).
  int stderr_fd = -1;
  std::string notify_address = {};
  // Of pools that run programs: the soft limit of descriptors that the master was started with, before it raised its
  // own.
  std::size_t descriptor_limit = 0;  // 0: it stays
  // Not a worker but the launcher of the pool's spare workers (launch.hpp): the open file of prongd-launch. -1: a
  // worker.
  int launcher_fd = -1;
  int scoreboard_fd = -1;
  std::size_t cell_number = 0;  // which cell of it is this worker's
  WorkerCell* cell = nullptr;   // that cell, in the mapping that a fork inherits
};

}  // namespace prong::ipc
