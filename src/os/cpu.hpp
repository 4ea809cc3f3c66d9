// How many CPUs this process may really use.
#pragma once

#include <optional>
#include <string_view>

namespace prong::os {

// CPUs in the affinity mask, cut by the cgroup's CPU quota (rounded up); at least 1. Reads /proc and /sys.
[[nodiscard]] unsigned usable_cpus();

// The quota in a cgroup v2 cpu.max text: "150000 100000" is 2 (rounded up), "max 100000" is nothing.
[[nodiscard]] std::optional<unsigned> parse_cpu_max(std::string_view text);

}  // namespace prong::os
