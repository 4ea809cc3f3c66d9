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
  // So many lines, at least 1, in each interval.
  explicit Repetition(std::chrono::seconds interval, int most = 1) : interval_(interval), most_(most) {}

  // It happened. What the line ends in: " (and 3 before it)", or nothing to add; nullopt: it is not to be told now.
  [[nodiscard]] std::optional<std::string> count(os::TimePoint now) {
    if (!begin_ || now - *begin_ >= interval_) {
      begin_ = now;
      told_ = 0;
    }
    if (told_ == most_) {
      ++not_told_;
      return std::nullopt;
    }
    ++told_;
    const std::uint64_t before = std::exchange(not_told_, 0);
    return before > 0 ? fmt::format(" (and {} before it)", before) : std::string{};
  }

 private:
  std::chrono::seconds interval_;
  int most_;
  int told_ = 0;                             // since begin_
  std::optional<os::TimePoint> begin_ = {};  // of the interval that goes on, or was the last
  std::uint64_t not_told_ = 0;
};

}  // namespace prong::log
