// Media types by file name extension: those of a file that the system or the operator keeps, and built-in ones for what
// it does not name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace prong::app {

class MimeTypes {
 public:
  // The built-in types alone.
  MimeTypes() = default;

  // The format of Debian's /etc/mime.types: lines of a type and its extensions, `#` begins a comment. A line that is
  // none is skipped, and of an extension that is named twice the last type holds. Text is taken to be UTF-8, and
  // the old names of JavaScript's type become text/javascript (RFC 9239), which browsers insist on.
  [[nodiscard]] static MimeTypes parse(std::string_view text);

  // Reads such a file; the built-in types alone if it is not there. Blocks.
  [[nodiscard]] static Result<MimeTypes> load(const std::string& path);

  // "text/html; charset=utf-8" for "a/b/index.HTML"; empty when the name has no extension, or none that is known.
  // Lives as long as this.
  [[nodiscard]] std::string_view of(std::string_view file_name) const;

 private:
  struct Entry {
    std::string extension;  // lower case
    std::uint32_t type;     // in types_
  };
  std::vector<std::string> types_;
  std::vector<Entry> entries_;  // sorted by extension
};

}  // namespace prong::app
