// How much memory and processor time a process has, as the kernel tells it (proc(5)).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/units.hpp"

namespace prong::os {

// All pages that are in memory, those shared with other processes included (RSS, /proc/self/statm).
[[nodiscard]] Result<ByteSize> resident_memory();

// The same, but each shared page counts as its part only (PSS, /proc/self/smaps_rollup, Linux 4.14). The kernel walks
// all pages for it: some milliseconds for a large process.
[[nodiscard]] Result<ByteSize> proportional_memory();

// Of any process.
struct ProcessUsage {
  ByteSize resident;  // as of resident_memory()
  // User and system together, of all its threads, without its children. In steps of sysconf(_SC_CLK_TCK), 10 ms.
  std::chrono::milliseconds cpu_time{};
};
// Nothing: it is gone, or /proc is not there or shows it to nobody (hidepid, proc(5)). Some 10 us.
[[nodiscard]] std::optional<ProcessUsage> usage_of(pid_t pid);

// How many processes of our memory cgroup, and of those below it, the kernel's out-of-memory killer has ended: for
// whatever limit, its own or the machine's. Nothing: there is no such cgroup, or the kernel does not tell.
[[nodiscard]] std::optional<std::uint64_t> out_of_memory_kills();
// The files that may tell it, in the order in which to try them, by what stands in /proc/self/cgroup (cgroups(7)).
[[nodiscard]] std::vector<std::string> memory_event_files(std::string_view own_cgroups);

}  // namespace prong::os
