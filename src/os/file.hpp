// Opening files for clients: below one directory, whatever the name says, and without waiting for anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <expected>
#include <span>
#include <string>
#include <string_view>

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

// A file that has no name and is gone with its last descriptor, for reading and writing (O_TMPFILE, open(2)).
[[nodiscard]] Result<UniqueFd> open_unnamed_file(const std::string& directory);

// Writes all of it at the file's position; blocks as the file system does. On failure a part may have been written.
[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes);

// The bytes from `offset` on, as many as fit; fewer only at the end of the file.
[[nodiscard]] Result<std::size_t> read_at(int fd, std::uint64_t offset, std::span<char> buffer);

// Where an open file is found now, for messages: "/srv/a.txt", or "/srv/a.txt (deleted)" (proc(5), /proc/self/fd).
[[nodiscard]] Result<std::string> file_path(int fd);

}  // namespace prong::os
