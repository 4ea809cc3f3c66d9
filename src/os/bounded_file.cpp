#include "os/bounded_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <utility>

#include "os/file.hpp"

namespace prong::os {
namespace {

constexpr std::size_t kPiece = 16U << 10U;

}  // namespace

Result<UniqueFd> make_bounded_file(const char* name, std::size_t bytes) {
  UniqueFd fd{::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd.valid()) return failure(system_error("cannot make a memory file", errno));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0)
    return failure(system_error("cannot size a memory file", errno));
  if (::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return failure(system_error("cannot seal a memory file", errno));
  return fd;
}

Result<std::string> read_bounded_file(int fd, std::size_t most) {
  std::string text;
  std::array<char, kPiece> piece;  // NOLINT(cppcoreguidelines-pro-type-member-init): read_at() fills it
  while (text.size() < most) {
    auto got = read_at(fd, text.size(), std::span{piece}.first(std::min(piece.size(), most - text.size())));
    if (!got) return failure(std::move(got.error()));
    const std::string_view part{piece.data(), *got};
    // What was never written is zero bytes, which no text has.
    const std::size_t end = part.find('\0');
    text += part.substr(0, end);
    if (end != std::string_view::npos || part.empty()) break;
  }
  return text;
}

}  // namespace prong::os
