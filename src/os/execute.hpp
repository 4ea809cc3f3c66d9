// execve(2), and whether it would work: for workers that become a program.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>

#include "base/error.hpp"
#include "os/socket.hpp"

namespace prong::os {

// Whether this process may execute the file, by its permissions, its mount and the security modules; else the errno
// that execve(2) would give. What the file contains is not looked at. Asks the kernel (AT_EXECVE_CHECK, Linux 6.14,
// execveat(2)), or looks at what faccessat(2) can tell.
[[nodiscard]] std::expected<void, int> check_executable(const std::string& path);

// Whether the kernel runs other formats than ELF and #! (binfmt_misc of binfmt.d(5)).
[[nodiscard]] bool runs_other_formats();

// Becomes the program; both arrays end with a null pointer. Returns only when it failed: the errno. A signal that is
// caught gets its default disposition, an ignored one stays ignored, the mask stays (execve(2)).
[[nodiscard]] int become_program(const char* path, char* const* arguments, char* const* environment);

// The same with the file behind a descriptor, whatever has become of its name (execveat(2), AT_EMPTY_PATH). Not for
// scripts if the descriptor is close-on-exec.
[[nodiscard]] int become_open_program(int file, char* const* arguments, char* const* environment);

[[nodiscard]] Result<void> change_directory(const std::string& path);
// "/" when it is gone.
[[nodiscard]] std::string working_directory();

// Leads a new session and a new process group, whose number is the pid (setsid(2)).
[[nodiscard]] Result<void> start_session();

// Clears O_NONBLOCK, or sets it, for everybody who shares the open file description (fcntl(2)). Whether it was set.
[[nodiscard]] Result<bool> set_nonblocking(int fd, bool on);

// Makes `target` a copy of `fd` that stays open over an exec. `fd` may be `target`.
[[nodiscard]] Result<void> place_descriptor(int fd, int target);
// A copy with CLOEXEC whose number is at least `least`.
[[nodiscard]] Result<int> duplicate_above(int fd, int least);

}  // namespace prong::os
