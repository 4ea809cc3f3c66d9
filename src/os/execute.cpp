#include "os/execute.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <filesystem>
#include <system_error>

namespace prong::os {
namespace {

// Newer than the headers of Debian 12 (linux/fcntl.h of Linux 6.14).
constexpr int kExecveCheck = 0x10000;

std::expected<void, int> ask_permissions(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::unexpected{errno};
  if (!S_ISREG(status.st_mode)) return std::unexpected{EACCES};  // what execve(2) says to it
  if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) return std::unexpected{errno};
  return {};
}

}  // namespace

std::expected<void, int> check_executable(const std::string& path) {
  std::string name = path;
  const std::array<char*, 2> arguments{name.data(), nullptr};
  const std::array<char*, 1> environment{nullptr};
  if (::syscall(SYS_execveat, AT_FDCWD, path.c_str(), arguments.data(), environment.data(), kExecveCheck) == 0)
    return {};
  const int error = errno;
  // An older kernel does not know the flag, a sandbox may not know the call.
  if (error == EINVAL || error == ENOSYS || error == EPERM) return ask_permissions(path);
  return std::unexpected{error};
}

bool runs_other_formats() {
  std::error_code error;
  return std::ranges::any_of(std::filesystem::directory_iterator{"/proc/sys/fs/binfmt_misc", error},
                             [](const std::filesystem::directory_entry& entry) {
                               return entry.path().filename() != "register" && entry.path().filename() != "status";
                             });
}

int become_program(const char* path, char* const* arguments, char* const* environment) {
  (void)::execve(path, arguments, environment);
  return errno;
}

int become_open_program(int file, char* const* arguments, char* const* environment) {
  (void)::syscall(SYS_execveat, file, "", arguments, environment, AT_EMPTY_PATH);
  return errno;
}

Result<void> change_directory(const std::string& path) {
  if (::chdir(path.c_str()) != 0) return failure(system_error(fmt::format("cannot enter \"{}\"", path), errno));
  return {};
}

std::string working_directory() {
  std::array<char, PATH_MAX> path{};
  return ::getcwd(path.data(), path.size()) != nullptr ? std::string{path.data()} : std::string{"/"};
}

Result<void> start_session() {
  if (::setsid() < 0) return failure(system_error("cannot start a session", errno));
  return {};
}

Result<bool> set_nonblocking(int fd, bool on) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0)
    return failure(system_error(fmt::format("cannot change descriptor {}", fd), errno));
  return (flags & O_NONBLOCK) != 0;
}

Result<void> place_descriptor(int fd, int target) {
  // dup2(2) does nothing to a descriptor that is in its place, so CLOEXEC would stay.
  const int done = fd == target ? ::fcntl(fd, F_SETFD, 0) : ::dup2(fd, target);
  if (done < 0) return failure(system_error(fmt::format("cannot make descriptor {} number {}", fd, target), errno));
  return {};
}

Result<int> duplicate_above(int fd, int least) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, least);
  if (copy < 0) return failure(system_error(fmt::format("cannot duplicate descriptor {}", fd), errno));
  return copy;
}

}  // namespace prong::os
