// The body of one request that the application asked for: in memory as long as it is small, else in a file without a
// name, so that many large uploads cost disk space and no memory, and a worker that dies leaves nothing behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "os/unique_fd.hpp"

namespace prong::http {

class RequestBody {
 public:
  // Appends. Beyond `most_in_memory` bytes all of it goes to a file in `directory`. Writing to it blocks as long as the
  // page cache does. On failure (a full disk) the body is of no use any more.
  [[nodiscard]] Result<void> append(std::span<const char> bytes, std::size_t most_in_memory,
                                    const std::string& directory);

  [[nodiscard]] std::uint64_t size() const { return size_; }
  // Where it is: in text(), or in the file with this descriptor (borrowed, its position is undefined: use pread(2)).
  [[nodiscard]] bool in_file() const { return file_.valid(); }
  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] int file() const { return file_.get(); }
  // The bytes from `offset` on, as many as fit; fewer only at the end. For a body in a file it blocks as the disk does.
  [[nodiscard]] Result<std::size_t> read(std::uint64_t offset, std::span<char> buffer) const;

 private:
  std::string text_ = {};
  os::UniqueFd file_ = {};
  std::uint64_t size_ = 0;
};

}  // namespace prong::http
