// What a worker gets from the master at its fork, and nothing else: plain values and descriptor numbers, so that it can
// cross an exec as well: that of a worker which becomes the user's interpreter (design.md section 7).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "ipc/cell_page.hpp"
#include "os/unique_fd.hpp"
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
  // Of pools whose workers become an interpreter: the file to which that writes what Python code it was running when it
  // dies of a signal (master/python_stack.hpp). -1: none.
  int stack_fd = -1;
  // Of pools that run programs: the soft limit of descriptors that the master was started with, before it raised its
  // own.
  std::size_t descriptor_limit = 0;  // 0: it stays
  // Not a worker but the launcher of the pool's spare workers (launch.hpp): the open file of prongd-launch. -1: a
  // worker.
  int launcher_fd = -1;
  // Of pools that serve themselves: the worker's own memory, for Scoreboard::open(). -1: it has a cell.
  int scoreboard_fd = -1;
  // Of a pool that shows the daemon's status: a connection to the control server, for verbs that change nothing
  // (ipc/control_link.hpp). -1: none. It does not cross an exec.
  int control_fd = -1;
  // Of pools that run programs: its cell, in the mapping that a fork inherits.
  WorkerCell* cell = nullptr;
};

// What crosses an exec: of the inheritance all but what child_setup has done already (the identity, the limits) and
// what does not survive (`cell`) or is never needed there (`control_fd`), and what a fork would have copied.
struct ExecRecord {
  Inheritance inheritance;
  std::string config;  // of the pool, as TOML (config/print.hpp)
  int log_fd = -1;     // what lines of the process log go to; -1: the journal
  // The rest of log::Handover, whose types are not known here.
  std::uint64_t log_target = 0;
  std::uint64_t log_level = 0;
  std::uint64_t log_color = 0;
  std::string log_path = {};
};
[[nodiscard]] std::string encode(const ExecRecord& record);
// The error: it is of another version of prongd, or not whole.
[[nodiscard]] Result<ExecRecord> decode(std::string_view bytes);
// All that are in it.
[[nodiscard]] std::vector<int> descriptors_of(const ExecRecord& record);

// Before the exec: the record in a memory file, which stays open over it like every descriptor in the record.
[[nodiscard]] Result<os::UniqueFd> store(const ExecRecord& record);
// After it: reads the record, and closes its file; every descriptor in it is close-on-exec again.
[[nodiscard]] Result<ExecRecord> take(os::UniqueFd file);

}  // namespace prong::ipc
