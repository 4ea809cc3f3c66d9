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
  // False when nobody started us who wants to hear of us.
  [[nodiscard]] bool active() const { return notifier_.active(); }
  // Sends the line when it has changed, and not at once when it changes all the time; called in each turn.
  void status(std::string_view text, os::TimePoint now);

  // Called in each turn: the watchdog, and while `busy` (boot, stop) more time.
  void tick(os::TimePoint now, bool busy);
  [[nodiscard]] std::optional<os::TimePoint> next_deadline(bool busy) const;

 private:
  os::Notifier notifier_;
  std::optional<std::chrono::microseconds> watchdog_;
  os::TimePoint next_watchdog_;
  os::TimePoint next_extension_;
  std::string status_;
  os::TimePoint next_status_;
  bool status_waits_ = false;
};

}  // namespace prong::master
