// What happens in a worker between the fork and its first line of real work: one ordered list.
#pragma once

#include "base/error.hpp"
#include "config/config.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// Runs once, first thing in the child, with all signals blocked as the fork left them. After it the process has
// exactly: descriptors 0 to 2, the channel, the listeners and the log; TERM blocked and nothing else; default
// dispositions but for the signals of docs/signals.md, which are ignored (in a pool
// that runs programs: caught, and nothing done); the pool's user, groups, umask and rlimits;
// none of systemd's variables (the master took them out of the environment).
[[nodiscard]] Result<void> set_up_child(const ipc::Inheritance& inheritance, const config::PoolConfig& pool);

// In a worker that has become the user's interpreter: what did not survive the exec, and what the interpreter would
// hand on to programs that the application starts (ignored signals, a blocked mask).
[[nodiscard]] Result<void> set_up_host(const ipc::Inheritance& inheritance, const config::PoolConfig& pool);
// In a child that the application forks: our handlers are gone. Async-signal-safe.
void reset_dispositions_of_children();

// How long a worker may go on after its master died.
inline constexpr Duration kOrphanGrace{500};

}  // namespace prong::worker
