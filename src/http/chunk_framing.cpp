#include "http/chunk_framing.hpp"

namespace prong::http {
namespace {

constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kContentTooLarge = 413;

// A client that sends each byte as a chunk of its own needs five bytes around it; extensions and trailers, which we
// drop, need some room of their own.
constexpr std::uint64_t kFramingPerByte = 8;
constexpr std::uint64_t kAnyFraming = std::uint64_t{16} << 10U;

bool is_control(char byte) {
  constexpr char kDelete = 0x7f;
  return (byte >= 0 && byte < ' ' && byte != '\t') || byte == kDelete;
}

// Whether `byte` may follow `last`.
bool may_follow(char last, char byte) {
  if (last == '\r') return byte == '\n';
  if (byte == '\n') return false;
  if (last == '\n' && (byte == ' ' || byte == '\t')) return false;
  return byte == '\r' || !is_control(byte);
}

}  // namespace

std::uint16_t ChunkFraming::check(std::string_view bytes, std::uint64_t data) {
  const std::uint64_t most = kAnyFraming + kFramingPerByte * data;
  for (const char byte : bytes) {
    if (!may_follow(last_, byte)) return kBadRequest;
    last_ = byte;
    // In the order of the bytes, so that it makes no difference in which pieces they come.
    if (++size_ > most) return kContentTooLarge;
  }
  return 0;
}

}  // namespace prong::http
