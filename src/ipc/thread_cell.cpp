#include "ipc/thread_cell.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/escape.hpp"

namespace prong::ipc {
namespace {

// A writer is at it for some ten nanoseconds, so that a reader which finds it so again and again has found a dead one.
constexpr int kMostTries = 100;

constexpr unsigned kByte = 8;

std::uint64_t to_word(os::TimePoint time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.time_since_epoch().count()));
}

std::optional<os::TimePoint> to_time(std::uint64_t word) {
  if (word > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  return os::TimePoint{std::chrono::nanoseconds{static_cast<std::int64_t>(word)}};
}

std::string peer_text(PeerBytes::Family family, const std::array<std::uint64_t, 2>& address, std::uint16_t port) {
  if (family == PeerBytes::Family::kNone) return {};
  const bool is_v6 = family == PeerBytes::Family::kV6;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (::inet_ntop(is_v6 ? AF_INET6 : AF_INET, address.data(), text.data(), text.size()) == nullptr) return {};
  const std::string peer = is_v6 ? '[' + std::string(text.data()) + ']' : std::string(text.data());
  return port == 0 ? peer : peer + ':' + std::to_string(port);
}

void store(Counter& counter, std::uint64_t word) {
  counter.store(word, std::memory_order_relaxed);
}

}  // namespace

// Bytes from the lowest on: phase, family, the two of the port, sizes of method and target, whether something was cut.
std::uint64_t ThreadCell::pack(const Shape& shape) {
  const auto at = [](std::uint64_t value, unsigned byte) { return value << (byte * kByte); };
  return at(static_cast<std::uint64_t>(shape.phase), 0) | at(static_cast<std::uint64_t>(shape.family), 1) |
         at(shape.port, 2) | at(shape.method_size, 4) | at(shape.target_size, 5) | at(shape.cut ? 1 : 0, 6);
}

std::optional<ThreadCell::Shape> ThreadCell::unpack(std::uint64_t word) {
  std::array<std::uint8_t, kWord> bytes{};
  for (unsigned i = 0; i < kWord; ++i) bytes.at(i) = static_cast<std::uint8_t>(word >> (i * kByte));
  if (bytes[0] > static_cast<std::uint8_t>(ThreadPhase::kOwn)) return std::nullopt;
  if (bytes[1] > static_cast<std::uint8_t>(PeerBytes::Family::kV6) || bytes[6] > 1 || bytes[7] != 0)
    return std::nullopt;
  const Shape shape{.phase = static_cast<ThreadPhase>(bytes[0]),
                    .family = static_cast<PeerBytes::Family>(bytes[1]),
                    .port = static_cast<std::uint16_t>(bytes[2] | (bytes[3] << kByte)),
                    .method_size = bytes[4],
                    .target_size = bytes[5],
                    .cut = bytes[6] == 1};
  if (shape.method_size > kMostMethod || std::size_t{shape.method_size} + shape.target_size > kMostText)
    return std::nullopt;
  return shape;
}

// The stores that follow are not seen before the odd number.
void ThreadCell::open() {
  store(sequence_, value_of(sequence_) + 1);
  std::atomic_thread_fence(std::memory_order_release);
}

void ThreadCell::close() {
  sequence_.store(value_of(sequence_) + 1, std::memory_order_release);
}

void ThreadCell::begin(const Call& call) {
  const std::string_view method = call.method.substr(0, kMostMethod);
  const std::string_view target = call.target.substr(0, kMostText - method.size());
  const bool is_cut = method.size() < call.method.size() || target.size() < call.target.size();
  std::array<std::uint64_t, 2> address{};
  std::memcpy(address.data(), call.peer.address.data(), call.peer.address.size());
  open();
  store(shape_, pack({.phase = call.phase,
                      .family = call.peer.family,
                      .port = call.peer.port,
                      .method_size = static_cast<std::uint8_t>(method.size()),
                      .target_size = static_cast<std::uint8_t>(target.size()),
                      .cut = is_cut}));
  store(since_, to_word(call.since));
  store(deadline_, call.deadline ? to_word(*call.deadline) : 0);
  store(number_, call.number);
  for (std::size_t i = 0; i < address.size(); ++i) store(peer_[i], address[i]);
  store_text(method, target);
  close();
}

// Only the words that are needed; what is left of longer texts behind them is not read.
void ThreadCell::store_text(std::string_view method, std::string_view target) {
  std::array<char, kMostText> text;  // NOLINT(cppcoreguidelines-pro-type-member-init): as much as is read is written
  method.copy(text.data(), method.size());  // may be empty, and have no address: memcpy(3) forbids that
  target.copy(text.data() + method.size(), target.size());
  const std::size_t size = method.size() + target.size();
  const std::size_t words = (size + kWord - 1) / kWord;
  std::memset(text.data() + size, 0, (words * kWord) - size);
  for (std::size_t i = 0; i < words; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + (i * kWord), kWord);
    store(text_[i], word);
  }
}

void ThreadCell::change(ThreadPhase phase) {
  auto shape = unpack(value_of(shape_));
  if (!shape) return;
  shape->phase = phase;
  open();
  store(shape_, pack(*shape));
  close();
}

void ThreadCell::end(os::TimePoint now) {
  open();
  store(shape_, pack({}));
  store(since_, to_word(now));
  store(deadline_, 0);
  close();
}

std::optional<ThreadCell::Copy> ThreadCell::copy() const {
  for (int i = 0; i < kMostTries; ++i) {
    const std::uint64_t before = sequence_.load(std::memory_order_acquire);
    if (before % 2 != 0) continue;
    Copy copy{.shape = value_of(shape_),
              .since = value_of(since_),
              .deadline = value_of(deadline_),
              .number = value_of(number_),
              .peer = {value_of(peer_[0]), value_of(peer_[1])},
              .text = {}};
    std::ranges::transform(text_, copy.text.begin(), value_of);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (value_of(sequence_) == before) return copy;
  }
  return std::nullopt;
}

std::optional<ThreadReading> ThreadCell::read(os::TimePoint now) const {
  const auto copied = copy();
  return copied ? understand(*copied, now) : std::nullopt;
}

std::optional<ThreadReading> ThreadCell::understand(const Copy& copy, os::TimePoint now) {
  const auto shape = unpack(copy.shape);
  const auto since = to_time(copy.since);
  const auto deadline = to_time(copy.deadline);
  if (!shape || !since || !deadline) return std::nullopt;
  // A call may have begun since the reader looked at its clock.
  ThreadReading reading{.phase = shape->phase, .number = copy.number, .since = std::min(*since, now)};
  if (copy.deadline != 0) reading.deadline = deadline;
  std::array<char, kMostText> text{};
  std::memcpy(text.data(), copy.text.data(), kMostText);
  const std::string_view all{text.data(), text.size()};
  reading.method = escaped(all.substr(0, shape->method_size), kMostMethod, Quotes::kKeep);
  reading.target = escaped(all.substr(shape->method_size, shape->target_size), kMostText, Quotes::kKeep);
  if (shape->cut) reading.target += "...";
  reading.peer = peer_text(shape->family, copy.peer, shape->port);
  return reading;
}

std::string ThreadReading::work() const {
  switch (phase) {
    case ThreadPhase::kIdle:
      break;
    case ThreadPhase::kRequest:
    case ThreadPhase::kBody:
      return method + ' ' + target;
    case ThreadPhase::kStream:
      return "an event of a stream";
    case ThreadPhase::kOwn:
      return "a timer or a descriptor of the application";
  }
  return {};
}

}  // namespace prong::ipc
