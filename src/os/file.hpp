// Opening files for clients: below one directory, whatever the name says, and without waiting for anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <expected>
#include <string>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

enum class FileKind : std::uint8_t { kRegular, kDirectory, kOther };

struct FileInfo {
  FileKind kind = FileKind::kOther;
  std::uint64_t size = 0;  // bytes
  std::uint64_t inode = 0;
  std::timespec modified = {};
};

// A directory as the place to open files in; may be one that can be searched but not read (O_PATH).
[[nodiscard]] Result<UniqueFd> open_directory(const std::string& path);

// Whether this kernel and its sandbox let us use openat2(2) (Linux 5.6): without it nothing keeps names inside.
[[nodiscard]] Result<void> check_open_beneath();

// Opens for reading, below `directory`: "..", absolute names and symbolic links that lead out fail with EXDEV, and so
// does a race with a rename that could (after some tries, with EAGAIN). Never blocks on a FIFO or a terminal. `name` is
// relative; "." is the directory itself. The error is a plain errno, since most are a client's mistake that nobody
// logs.
[[nodiscard]] std::expected<UniqueFd, int> open_beneath(int directory, const char* name);

// What an open descriptor is.
[[nodiscard]] std::expected<FileInfo, int> file_info(int fd);

// Where an open file is found now, for messages: "/srv/a.txt", or "/srv/a.txt (deleted)" (proc(5), /proc/self/fd).
[[nodiscard]] Result<std::string> file_path(int fd);

}  // namespace prong::os
