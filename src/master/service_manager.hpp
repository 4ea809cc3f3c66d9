// What systemd is told: readiness, reloads, a status line, the watchdog, and that a slow stop is not a hang
// (sd_notify(3)). Without systemd all of this does nothing.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "os/clock.hpp"
#include "os/systemd.hpp"

namespace prong::master {

class ServiceManager {
 public:
  ServiceManager(os::Notifier notifier, std::optional<std::chrono::microseconds> watchdog);

  void ready(std::string_view status);
  void reloading(os::TimePoint now);
  void stopping(std::string_view status);
  // Sends the line only when it has changed.
  void status(std::string_view text);

  // Called in each turn: the watchdog, and while `busy` (boot, stop) more time.
  void tick(os::TimePoint now, bool busy);
  [[nodiscard]] std::optional<os::TimePoint> next_deadline(bool busy) const;

 private:
  os::Notifier notifier_;
  std::optional<std::chrono::microseconds> watchdog_;
  os::TimePoint next_watchdog_;
  os::TimePoint next_extension_;
  std::string status_;
};

}  // namespace prong::master
