#include "os/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>
#include <utility>

namespace prong::os {
namespace {

// openat2(2): EAGAIN says that a rename or mount somewhere in the system raced with the walk; it is to be tried again.
constexpr int kMostTries = 32;

FileKind kind_of(mode_t mode) {
  if (S_ISREG(mode)) return FileKind::kRegular;
  if (S_ISLNK(mode)) return FileKind::kLink;
  return S_ISDIR(mode) ? FileKind::kDirectory : FileKind::kOther;
}

FileInfo info_of(const struct stat& status) {
  return {.kind = kind_of(status.st_mode),
          .size = static_cast<std::uint64_t>(status.st_size),
          .inode = status.st_ino,
          .modified = status.st_mtim};
}

std::uint64_t resolve_flags(Links links) {
  switch (links) {
    case Links::kNone:
      return RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;  // implies RESOLVE_NO_MAGICLINKS
    case Links::kBeneath:
      return RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    case Links::kAnywhere:
      break;
  }
  return RESOLVE_NO_MAGICLINKS;
}

std::expected<UniqueFd, int> open_resolved(int directory, const char* name, std::uint64_t flags,
                                           std::uint64_t resolve) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve;
  for (int tries = 1;; ++tries) {
    const long fd = ::syscall(SYS_openat2, directory, name, &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    const int error = errno;
    if ((error != EAGAIN && error != EINTR) || tries == kMostTries) return std::unexpected(error);
  }
}

bool has_dot_dot(std::string_view name) {
  return name == ".." || name.starts_with("../") || name.ends_with("/..") || name.contains("/../");
}

// For a name that RESOLVE_BENEATH refused because a link on its way is absolute or passes through "..": where it ends
// may be below the directory all the same. The kernel is asked where that is, and then that name, which has no links
// any more, is opened beneath the directory: so the second step alone decides, and whatever is changed between the two
// can only make it fail.
std::expected<UniqueFd, int> open_where_it_ends(int directory, const char* name, std::uint64_t flags) {
  const auto end = open_resolved(directory, name, O_PATH, RESOLVE_NO_MAGICLINKS);
  if (!end) return std::unexpected(EXDEV);
  const auto top = file_path(directory);
  const auto path = file_path(end->get());
  if (!top || !path || !path->starts_with(*top)) return std::unexpected(EXDEV);
  const std::size_t slash = top->ends_with('/') ? top->size() - 1 : top->size();
  if (path->size() == top->size()) return open_resolved(directory, ".", flags, resolve_flags(Links::kNone));
  if ((*path)[slash] != '/') return std::unexpected(EXDEV);
  return open_resolved(directory, path->c_str() + slash + 1, flags, resolve_flags(Links::kNone));
}

std::expected<UniqueFd, int> open_by(int directory, const char* name, std::uint64_t flags, Links links) {
  auto opened = open_resolved(directory, name, flags, resolve_flags(links));
  if (opened || opened.error() != EXDEV || links != Links::kBeneath) return opened;
  // ".." in the name itself is no link.
  if (std::string_view(name).starts_with('/') || has_dot_dot(name)) return opened;
  return open_where_it_ends(directory, name, flags);
}

bool is_dot(std::string_view name) {
  return name == "." || name == "..";
}

}  // namespace

Result<UniqueFd> open_directory(const std::string& path) {
  const int fd = ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return failure(system_error("cannot open directory \"" + path + "\"", errno));
  return UniqueFd(fd);
}

Result<void> ensure_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0) {
    if (errno == EEXIST) return {};
    return failure(system_error("cannot make the directory " + path, errno));
  }
  // The umask may have taken some of them away.
  if (::chmod(path.c_str(), mode) != 0) return failure(system_error("cannot set the permissions of " + path, errno));
  return {};
}

Result<void> check_open_beneath() {
  const UniqueFd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return failure(system_error("cannot open \"/\"", errno));
  const auto opened = open_beneath(root.get(), ".");
  if (opened || (opened.error() != ENOSYS && opened.error() != EPERM)) return {};
  return failure(system_error("cannot use openat2", opened.error(),
                              "it needs Linux 5.6, and a container runtime whose seccomp filter allows it"));
}

std::expected<UniqueFd, int> open_beneath(int directory, const char* name, Links links) {
  return open_by(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, links);
}

bool is_open_for_reading(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_PATH) == 0 && (flags & O_ACCMODE) != O_WRONLY;
}

std::expected<FileInfo, int> file_info(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return std::unexpected(errno);
  return info_of(status);
}

std::expected<FileInfo, int> file_info(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::unexpected(errno);
  return info_of(status);
}

std::expected<FileInfo, int> file_info_beneath(int directory, const char* name, Links links) {
  const auto opened = open_by(directory, name, O_PATH, links);
  if (!opened) return std::unexpected(opened.error());
  return file_info(opened->get());
}

std::expected<DirectoryContent, int> read_directory(int directory, std::size_t most,
                                                    bool (*wanted)(std::string_view name)) {
  // A duplicate would share the place in the directory with its original.
  UniqueFd again(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!again.valid()) return std::unexpected(errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(again.get()), ::closedir);
  if (stream == nullptr) return std::unexpected(errno);
  (void)again.release();  // the stream owns it now
  DirectoryContent content;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());  // NOLINT(concurrency-mt-unsafe): of one stream; POSIX.1-2024
    if (entry == nullptr && errno != 0) return std::unexpected(errno);
    if (entry == nullptr) return content;
    const char* name = &entry->d_name[0];
    if (is_dot(name) || !wanted(name)) continue;
    if (content.entries.size() == most) break;
    struct stat status{};
    if (::fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
      content.entries.push_back({.name = name, .info = info_of(status)});
  }
  content.is_whole = false;
  return content;
}

Result<std::string> read_file(const std::string& path, std::size_t most) {
  const std::string action = "cannot read \"" + path + "\"";
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.valid()) return failure(system_error(action, errno));
  const auto info = file_info(file.get());
  if (!info) return failure(system_error(action, info.error()));
  std::string text(std::min<std::uint64_t>(most, info->size) + 1, '\0');
  auto size = read_at(file.get(), 0, text);
  if (!size) return failure(action, std::move(size.error()));
  if (*size == text.size()) return failure(action + ": it has more than " + std::to_string(*size - 1) + " bytes");
  text.resize(*size);
  return text;
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
