#include "os/file.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace prong::os {
namespace {

// openat2(2): EAGAIN says that a rename or mount somewhere in the system raced with the walk; it is to be tried again.
constexpr int kMostTries = 32;

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kRegular;
  return S_ISDIR(mode) ? FileKind::kDirectory : FileKind::kOther;
}

}  // namespace

Result<UniqueFd> open_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure(system_error("cannot open directory \"" + path + "\"", errno));
  return UniqueFd(fd);
}

Result<void> check_open_beneath() {
  const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return failure(system_error("cannot open \"/\"", errno));
  const auto opened = open_beneath(root.get(), ".");
  if (opened || (opened.error() != ENOSYS && opened.error() != EPERM)) return {};
  return failure(system_error("cannot use openat2", opened.error(),
                              "it needs Linux 5.6, and a container runtime whose seccomp filter allows it"));
}

std::expected<UniqueFd, int> open_beneath(int directory, const char* name) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int tries = 1;; ++tries) {
    const long fd = ::syscall(SYS_openat2, directory, name, &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    const int error = errno;
    if ((error != EAGAIN && error != EINTR) || tries == kMostTries) return std::unexpected(error);
  }
}

std::expected<FileInfo, int> file_info(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::unexpected(errno);
  return FileInfo{.kind = kind_of(status.st_mode),
                  .size = static_cast<std::uint64_t>(status.st_size),
                  .inode = status.st_ino,
                  .modified = status.st_mtim};
}

Result<UniqueFd> open_unnamed_file(const std::string& directory) {
  const int fd = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return failure(system_error("cannot make a file in \"" + directory + "\"", errno));
  return UniqueFd(fd);
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failure(system_error("cannot write", errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Result<std::size_t> read_at(int fd, std::uint64_t offset, std::span<char> buffer) {
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t size =
        ::pread(fd, buffer.data() + filled, buffer.size() - filled, static_cast<off_t>(offset + filled));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failure(system_error("cannot read", errno));
    if (size == 0) break;
    filled += static_cast<std::size_t>(size);
  }
  return filled;
}

Result<std::string> file_path(int fd) {
  std::string path(PATH_MAX, '\0');
  const ssize_t size = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path.data(), path.size());
  if (size < 0) return failure(system_error("cannot read the name of descriptor " + std::to_string(fd), errno));
  path.resize(static_cast<std::size_t>(size));
  return path;
}

}  // namespace prong::os
