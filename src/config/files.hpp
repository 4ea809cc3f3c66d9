// What the reader needs from the file system: whole small files, glob patterns, absolute paths. Blocking; runs in the
// master (at boot, at a reload) and in `prongd --check`.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace prong::config {

// A configuration is written by people; what is larger was not meant to be one (a log, an image), and would only cost
// memory in the master.
inline constexpr std::size_t kLargestFile = std::size_t{1} << 20U;

// The content of a regular file of at most kLargestFile bytes. The message of the error does not name the path.
[[nodiscard]] Result<std::string> read_whole_file(const std::string& path);

// The files that a glob(7) pattern matches, sorted; none is no error. A pattern without wildcards is returned as it is.
[[nodiscard]] Result<std::vector<std::string>> matching_files(const std::string& pattern);

// The absolute path of `path`, taken relative to `folder`, without "." and "..", without a slash at its end. Looks at
// no file; symbolic links stay.
[[nodiscard]] std::string absolute_path(std::string_view path, std::string_view folder);

// The absolute path of the folder that `file` is in; a relative one is relative to the working directory.
[[nodiscard]] std::string folder_of(const std::string& file);

// Why `path` is not a directory that can be used; nothing when it is one.
[[nodiscard]] std::optional<std::string> why_no_directory(const std::string& path);

// Why `path` is not a regular file that can be read; nothing when it is one.
[[nodiscard]] std::optional<std::string> why_no_file(const std::string& path);

}  // namespace prong::config
