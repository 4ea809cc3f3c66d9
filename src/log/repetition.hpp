// What others can make happen as often as they like (clients, mostly) is told in the log once in a while, with the
// number of times that were not told.
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "os/clock.hpp"

namespace prong::log {

// Of one kind of line. Not for several threads at once.
class Repetition {
 public:
  explicit Repetition(std::chrono::seconds interval) : interval_(interval) {}

  // It happened. What the line ends in: " (and 3 before it)", or nothing to add; nullopt: it is not to be told now.
  [[nodiscard]] std::optional<std::string> count(os::TimePoint now) {
    if (last_told_ && now - *last_told_ < interval_) {
      ++not_told_;
      return std::nullopt;
    }
    last_told_ = now;
    const std::uint64_t before = std::exchange(not_told_, 0);
    return before > 0 ? fmt::format(" (and {} before it)", before) : std::string{};
  }

 private:
  std::chrono::seconds interval_;
  std::optional<os::TimePoint> last_told_ = {};
  std::uint64_t not_told_ = 0;
};

}  // namespace prong::log
