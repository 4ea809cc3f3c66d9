// Opening files for clients: below one directory, whatever the name says, and without waiting for anything.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {

enum class FileKind : std::uint8_t { kRegular, kDirectory, kLink, kOther };

struct FileInfo {
  FileKind kind = FileKind::kOther;
  std::uint64_t size = 0;  // bytes
  std::uint64_t inode = 0;
  std::timespec modified = {};
};

// A directory as the place to open files in; may be one that can be searched but not read (O_PATH).
[[nodiscard]] Result<UniqueFd> open_directory(const std::string& path);

// Makes a directory, if it is not there, with exactly those permissions. That something else has its name is not
// noticed here.
[[nodiscard]] Result<void> ensure_directory(const std::string& path, mode_t mode);

// Whether this kernel and its sandbox let us use openat2(2) (Linux 5.6): without it nothing keeps names inside.
[[nodiscard]] Result<void> check_open_beneath();

// Which symbolic links are followed on the way from a directory to a name below it.
enum class Links : std::uint8_t {
  kNone,      // a name that contains one fails with ELOOP
  kBeneath,   // those that end below the directory, wherever they lead through; others fail with EXDEV
  kAnywhere,  // all, but for the magic ones of proc(5)
};

// Opens for reading, below `directory`: "..", absolute names and symbolic links that lead out fail with EXDEV, and so
// does a race with a rename that could (after some tries, with EAGAIN). Never blocks on a FIFO or a terminal. `name` is
// relative; "." is the directory itself. With kAnywhere it is the caller's business that no ".." is in it. The error is
// a plain errno, since most are a client's mistake that nobody logs.
[[nodiscard]] std::expected<UniqueFd, int> open_beneath(int directory, const char* name, Links links = Links::kBeneath);

// What an open descriptor is.
[[nodiscard]] std::expected<FileInfo, int> file_info(int fd);

// Whether a descriptor was opened for reading.
[[nodiscard]] bool is_open_for_reading(int fd);

// What a path leads to; symbolic links are followed. Opens nothing.
[[nodiscard]] std::expected<FileInfo, int> file_info(const std::string& path);

// What a name below `directory` is, by the same rules as open_beneath(), but it need not be readable.
[[nodiscard]] std::expected<FileInfo, int> file_info_beneath(int directory, const char* name, Links links);

struct DirectoryEntry {
  std::string name;
  FileInfo info;  // of a symbolic link itself: kLink
};
struct DirectoryContent {
  std::vector<DirectoryEntry> entries;  // in no order, without "." and ".."
  bool is_whole = true;
};
// What is in a directory that was opened for reading; names that `wanted` refuses are left out and not looked at. At
// most `most` entries: then it stops, with is_whole false. An entry that vanishes meanwhile is left out.
[[nodiscard]] std::expected<DirectoryContent, int> read_directory(int directory, std::size_t most,
                                                                  bool (*wanted)(std::string_view name));

// The whole of a file that people write, such as a configuration: an error if it has more than `most` bytes.
[[nodiscard]] Result<std::string> read_file(const std::string& path, std::size_t most);

// A file that has no name and is gone with its last descriptor, for reading and writing (O_TMPFILE, open(2)).
[[nodiscard]] Result<UniqueFd> open_unnamed_file(const std::string& directory);

// Writes all of it at the file's position; blocks as the file system does. On failure a part may have been written.
[[nodiscard]] Result<void> write_all(int fd, std::string_view bytes);

// The bytes from `offset` on, as many as fit; fewer only at the end of the file.
[[nodiscard]] Result<std::size_t> read_at(int fd, std::uint64_t offset, std::span<char> buffer);

// Where an open file is found now, for messages: "/srv/a.txt", or "/srv/a.txt (deleted)" (proc(5), /proc/self/fd).
[[nodiscard]] Result<std::string> file_path(int fd);

}  // namespace prong::os
