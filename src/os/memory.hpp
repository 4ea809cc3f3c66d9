// How much memory this process has, as the kernel tells it (proc(5)).
#pragma once

#include "base/error.hpp"
#include "base/units.hpp"

namespace prong::os {

// All pages that are in memory, those shared with other processes included (RSS, /proc/self/statm).
[[nodiscard]] Result<ByteSize> resident_memory();

// The same, but each shared page counts as its part only (PSS, /proc/self/smaps_rollup, Linux 4.14). The kernel walks
// all pages for it: some milliseconds for a large process.
[[nodiscard]] Result<ByteSize> proportional_memory();

}  // namespace prong::os
