// When a dead worker's place is filled again: at once if it had served, later and later if it never got that far. A
// client who can crash his own request must not be able to throttle the service; a broken application must not be
// able to keep the machine busy with forks.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/units.hpp"

namespace prong::master {

// What is known about a worker when it is gone.
struct LifeFacts {
  bool was_ready = false;             // it said Ready
  std::uint64_t connections = 0;      // that it accepted
  std::chrono::nanoseconds served{};  // time since Ready
};

// True when the death says nothing about the next start: it accepted connections, or it was ready for long enough.
[[nodiscard]] bool had_served(const LifeFacts& facts);

// The pause before the next start, after `failures` deaths in a row of workers that had not served (1 is the first).
// 100 ms, 200 ms, 400 ms ... up to `most`. 0 failures: no pause.
[[nodiscard]] Duration respawn_pause(std::uint32_t failures, Duration most);

}  // namespace prong::master
