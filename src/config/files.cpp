#include "config/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/units.hpp"
#include "os/execute.hpp"
#include "os/unique_fd.hpp"

namespace prong::config {
namespace {

namespace fs = std::filesystem;

// ENOENT: a pattern may name a folder that does not exist. Everything else would hide files silently.
int stop_at_error(const char* /*path*/, int error) {
  return error == ENOENT || error == ENOTDIR ? 0 : 1;
}

class Glob {
 public:
  Glob() = default;
  Glob(const Glob&) = delete;
  Glob& operator=(const Glob&) = delete;
  Glob(Glob&&) = delete;
  Glob& operator=(Glob&&) = delete;
  ~Glob() { globfree(&found_); }

  int run(const std::string& pattern) { return glob(pattern.c_str(), 0, stop_at_error, &found_); }
  [[nodiscard]] std::vector<std::string> paths() const { return {found_.gl_pathv, found_.gl_pathv + found_.gl_pathc}; }

 private:
  glob_t found_{};
};

std::unexpected<Error> too_large() {
  return failure(fmt::format("it is larger than {}", to_text(ByteSize{kLargestFile})),
                 "a configuration is not that long; split it with include if it really is");
}

// Reads to the end rather than st_size bytes: the file may be growing.
Result<std::string> read_to_end(int fd) {
  std::string content;
  std::array<char, 16'384> buffer{};
  while (true) {
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure(Error{.message = errno_text(errno), .error_number = errno});
    if (count == 0) return content;
    content.append(buffer.data(), static_cast<std::size_t>(count));
    if (content.size() > kLargestFile) return too_large();
  }
}

}  // namespace

Result<std::string> read_whole_file(const std::string& path) {
  // O_NONBLOCK: the open of a FIFO must not wait for a writer.
  const os::UniqueFd file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (!file.valid()) return failure(Error{.message = errno_text(errno), .error_number = errno});
  struct stat status{};
  if (fstat(file.get(), &status) != 0) return failure(Error{.message = errno_text(errno), .error_number = errno});
  if (S_ISDIR(status.st_mode)) return failure("it is a directory", "give the path of a file");
  if (!S_ISREG(status.st_mode)) return failure("it is not a regular file");
  if (static_cast<std::size_t>(status.st_size) > kLargestFile) return too_large();
  return read_to_end(file.get());
}

Result<std::vector<std::string>> matching_files(const std::string& pattern) {
  if (pattern.find_first_of("*?[") == std::string::npos) return std::vector{pattern};
  Glob search;
  switch (search.run(pattern)) {
    case 0:
      return search.paths();
    case GLOB_NOMATCH:
      return std::vector<std::string>{};
    default:
      return failure(Error{.message = errno_text(errno), .error_number = errno});
  }
}

std::string absolute_path(std::string_view path, std::string_view folder) {
  std::string normal = (fs::path{folder} / fs::path{path}).lexically_normal().string();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

std::optional<std::string> why_no_directory(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return errno_text(errno);
  if (!S_ISDIR(status.st_mode)) return errno_text(ENOTDIR);
  return std::nullopt;
}

std::string folder_of(const std::string& file) {
  return fs::path{absolute_path(file, os::working_directory())}.parent_path().string();
}

std::optional<std::string> why_no_file(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0) return errno_text(errno);
  if (!S_ISREG(status.st_mode)) return "it is no file";
  return std::nullopt;
}

}  // namespace prong::config
