// A memory file that cannot grow: what a process writes to it that nobody trusts costs no more memory than was said,
// and is there when that process is dead.
#pragma once

#include <cstddef>
#include <string>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

// Empty. A write beyond `bytes` fails with EPERM (memfd_create(2), F_SEAL_GROW); memory is taken as it is written.
// `name` shows in /proc/PID/fd.
[[nodiscard]] Result<UniqueFd> make_bounded_file(const char* name, std::size_t bytes);

// What was written from its start on, up to the first byte that was not, and no more than `most` bytes. Whoever writes
// meanwhile is not waited for.
[[nodiscard]] Result<std::string> read_bounded_file(int fd, std::size_t most);

}  // namespace prong::os
