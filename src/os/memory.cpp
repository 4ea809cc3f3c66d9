#include "os/memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "os/file.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {
namespace {

// Files of /proc have no size to go by; both are below 1 KiB.
Result<std::string> read_text(const char* path) {
  constexpr std::size_t kMostText = 4U << 10U;
  const std::string action = std::string{"cannot read "} + path;
  const UniqueFd file{::open(path, O_RDONLY | O_CLOEXEC)};
  if (!file.valid()) return failure(system_error(action, errno));
  std::string text(kMostText, '\0');
  auto size = read_at(file.get(), 0, text);
  if (!size) return failure(action, std::move(size.error()));
  text.resize(*size);
  return text;
}

// The number at the start of `text`, after spaces.
Result<std::uint64_t> leading_number(std::string_view text, const char* path) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t value = 0;
  if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value); error != std::errc{})
    return failure(std::string{"cannot understand "} + path);
  return value;
}

}  // namespace

Result<ByteSize> resident_memory() {
  constexpr const char* kPath = "/proc/self/statm";
  const auto text = read_text(kPath);
  if (!text) return failure(text.error());
  // "size resident shared ...", in pages.
  const auto pages = leading_number(std::string_view{*text}.substr(std::min(text->find(' '), text->size())), kPath);
  if (!pages) return failure(pages.error());
  static const auto page_size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return ByteSize{*pages * page_size};
}

Result<ByteSize> proportional_memory() {
  constexpr const char* kPath = "/proc/self/smaps_rollup";
  constexpr std::string_view kLine = "\nPss:";
  const auto text = read_text(kPath);
  if (!text) return failure(text.error());
  const std::size_t line = text->find(kLine);
  if (line == std::string::npos) return failure(std::string{"cannot understand "} + kPath);
  const auto kibibytes = leading_number(std::string_view{*text}.substr(line + kLine.size()), kPath);
  if (!kibibytes) return failure(kibibytes.error());
  return ByteSize{*kibibytes << 10U};
}

}  // namespace prong::os
