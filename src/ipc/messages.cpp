#include "ipc/messages.hpp"

#include <algorithm>
#include <type_traits>

#include "ipc/wire.hpp"

namespace prong::ipc {
namespace {

class Writer {
 public:
  explicit Writer(Tag tag) : bytes_{std::byte{kProtocolVersion}, static_cast<std::byte>(tag)} {}
  Writer& number(std::uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<std::byte>((value >> shift) & 0xFFU));
    return *this;
  }
  // Takes the rest of the packet, so it comes last.
  Writer& text(const std::string& value) {
    const auto view = std::as_bytes(std::span{value}).first(std::min(value.size(), kLargestText));
    bytes_.insert(bytes_.end(), view.begin(), view.end());
    return *this;
  }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}
  std::uint64_t number() {
    constexpr std::size_t kSize = sizeof(std::uint64_t);
    if (rest_.size() < kSize) {
      broken_ = true;
      return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = kSize; i-- > 0;) value = value << 8U | std::to_integer<std::uint64_t>(rest_[i]);
    rest_ = rest_.subspan(kSize);
    return value;
  }
  std::string text() {
    std::string value{reinterpret_cast<const char*>(rest_.data()), rest_.size()};
    rest_ = {};
    return value;
  }
  bool flag() {
    const std::uint64_t value = number();
    broken_ = broken_ || value > 1;
    return value == 1;
  }
  std::uint64_t number_up_to(std::uint64_t most) {
    const std::uint64_t value = number();
    broken_ = broken_ || value > most;
    return value;
  }
  [[nodiscard]] bool complete() const { return !broken_ && rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
  bool broken_ = false;
};

std::optional<Message> decode_body(Tag tag, Reader& reader) {
  switch (tag) {
    case Tag::kReady:
      return Ready{};
    case Tag::kStartFailed:
      return StartFailed{.reason = reader.text()};
    case Tag::kRetiring:
      return Retiring{.reason = reader.text()};
    case Tag::kStuck:
      return Stuck{.reason = reader.text()};
    case Tag::kWantsToRetire:
      return WantsToRetire{.reason = reader.text()};
    case Tag::kReloadWanted:
      return ReloadWanted{.reason = reader.text()};
    case Tag::kLetGo:
      return LetGo{};
    case Tag::kServe:
      return Serve{};
    case Tag::kHold:
      return Hold{};
    case Tag::kStop: {
      const auto grace = static_cast<Duration::rep>(reader.number());
      const auto idle_grace = static_cast<Duration::rep>(reader.number());
      return Stop{.grace = Duration{grace}, .idle_grace = Duration{idle_grace}, .serve_backlog = reader.number()};
    }
    case Tag::kLogReopened:
      return LogReopened{};
    case Tag::kAccessLogReopened:
      return AccessLogReopened{};
    case Tag::kLogLevelChanged:
      return LogLevelChanged{.level = reader.number_up_to(LogLevelChanged::kMostLevel)};
    case Tag::kTaken:
      return Taken{.address = reader.text()};
    case Tag::kExecuting:
      return Executing{};
    case Tag::kProceed:
      return Proceed{.allowed = reader.flag()};
  }
  return std::nullopt;  // a tag that we do not know
}

struct Encoder {
  std::vector<std::byte> operator()(const Ready& /*m*/) const { return Writer{Tag::kReady}.take(); }
  std::vector<std::byte> operator()(const StartFailed& m) const {
    return Writer{Tag::kStartFailed}.text(m.reason).take();
  }
  std::vector<std::byte> operator()(const Retiring& m) const { return Writer{Tag::kRetiring}.text(m.reason).take(); }
  std::vector<std::byte> operator()(const Stuck& m) const { return Writer{Tag::kStuck}.text(m.reason).take(); }
  std::vector<std::byte> operator()(const WantsToRetire& m) const {
    return Writer{Tag::kWantsToRetire}.text(m.reason).take();
  }
  std::vector<std::byte> operator()(const ReloadWanted& m) const {
    return Writer{Tag::kReloadWanted}.text(m.reason).take();
  }
  std::vector<std::byte> operator()(const LetGo& /*m*/) const { return Writer{Tag::kLetGo}.take(); }
  std::vector<std::byte> operator()(const Serve& /*m*/) const { return Writer{Tag::kServe}.take(); }
  std::vector<std::byte> operator()(const Hold& /*m*/) const { return Writer{Tag::kHold}.take(); }
  std::vector<std::byte> operator()(const Stop& m) const {
    return Writer{Tag::kStop}
        .number(static_cast<std::uint64_t>(m.grace.count()))
        .number(static_cast<std::uint64_t>(m.idle_grace.count()))
        .number(m.serve_backlog)
        .take();
  }
  std::vector<std::byte> operator()(const LogReopened& /*m*/) const { return Writer{Tag::kLogReopened}.take(); }
  std::vector<std::byte> operator()(const AccessLogReopened& /*m*/) const {
    return Writer{Tag::kAccessLogReopened}.take();
  }
  std::vector<std::byte> operator()(const LogLevelChanged& m) const {
    return Writer{Tag::kLogLevelChanged}.number(m.level).take();
  }
  std::vector<std::byte> operator()(const Taken& m) const { return Writer{Tag::kTaken}.text(m.address).take(); }
  std::vector<std::byte> operator()(const Executing& /*m*/) const { return Writer{Tag::kExecuting}.take(); }
  std::vector<std::byte> operator()(const Proceed& m) const {
    return Writer{Tag::kProceed}.number(m.allowed ? 1 : 0).take();
  }
};

}  // namespace

std::vector<std::byte> encode(const Message& message) {
  return std::visit(Encoder{}, message);
}

std::optional<Message> decode(std::span<const std::byte> bytes) {
  if (bytes.size() < 2 || bytes[0] != std::byte{kProtocolVersion}) return std::nullopt;
  Reader reader{bytes.subspan(2)};
  auto message = decode_body(static_cast<Tag>(bytes[1]), reader);
  return reader.complete() ? message : std::nullopt;
}

}  // namespace prong::ipc
