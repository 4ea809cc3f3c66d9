#include "master/service_manager.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace prong::master {
namespace {

// While the daemon starts or drains it asks for more time before its time is over: each request is good for three
// intervals, so that two may be lost.
constexpr std::chrono::seconds kExtensionInterval{5};
constexpr std::chrono::microseconds kExtension = kExtensionInterval * 3;

// Pools that fork for each connection change with each.
constexpr std::chrono::milliseconds kStatusInterval{100};

}  // namespace

ServiceManager::ServiceManager(os::Notifier notifier, std::optional<std::chrono::microseconds> watchdog)
    : notifier_(std::move(notifier)), watchdog_(watchdog) {}

void ServiceManager::ready(std::string_view status) {
  status_ = status;
  notifier_.send(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceManager::reloading(os::TimePoint now) {
  // systemd compares this with its own CLOCK_MONOTONIC, which is what os::Clock is.
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  notifier_.send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", us));
}

void ServiceManager::stopping(std::string_view status) {
  status_ = status;
  notifier_.send(fmt::format("STOPPING=1\nSTATUS={}", status));
}

void ServiceManager::status(std::string_view text, os::TimePoint now) {
  status_waits_ = text != status_ && now < next_status_;
  if (text == status_ || status_waits_) return;
  next_status_ = now + kStatusInterval;
  status_ = text;
  notifier_.send(fmt::format("STATUS={}", text));
}

void ServiceManager::tick(os::TimePoint now, bool busy) {
  if (watchdog_ && now >= next_watchdog_) {
    notifier_.send("WATCHDOG=1");
    next_watchdog_ = now + *watchdog_ / 2;
  }
  if (busy && notifier_.active() && now >= next_extension_) {
    notifier_.send(fmt::format("EXTEND_TIMEOUT_USEC={}", kExtension.count()));
    next_extension_ = now + kExtensionInterval;
  }
}

std::optional<os::TimePoint> ServiceManager::next_deadline(bool busy) const {
  std::optional<os::TimePoint> nearest;
  if (watchdog_) nearest = next_watchdog_;
  if (status_waits_) nearest = nearest ? std::min(*nearest, next_status_) : next_status_;
  if (busy && notifier_.active()) nearest = nearest ? std::min(*nearest, next_extension_) : next_extension_;
  return nearest;
}

}  // namespace prong::master
