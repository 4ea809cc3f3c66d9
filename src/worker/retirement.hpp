// When a worker has served enough: it asks the master for a replacement, and goes on until the master stops it. Pure
// decisions; the event loop looks here once a turn and sends what comes out.
//
// Nothing in here wakes an idle worker but the one end of max_lifetime: requests change only when one is served, and
// memory is measured only after that. A worker that has grown and then has nothing to do stays as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/message_code.hpp"
#include "base/units.hpp"
#include "config/config.hpp"
#include "os/clock.hpp"

namespace prong::worker {

class Retirement {
 public:
  using MeasureMemory = std::function<Result<ByteSize>()>;

  // `started`: from when its age counts. `seed`: what its jitter is drawn from, once. The pool is borrowed.
  Retirement(const config::PoolConfig& pool, MeasureMemory measure, os::TimePoint started, std::uint64_t seed);
  // With the measure that the pool wants, from now on.
  [[nodiscard]] static Retirement of(const config::PoolConfig& pool, os::TimePoint now);

  struct Served {
    std::uint64_t requests = 0;
    std::uint64_t connections = 0;  // they count as a reason to measure only
  };
  // Texts for people; empty: nothing to say. Most of the time both are.
  struct Finding {
    std::string reason;   // why it should ask to retire, until asked() tells that it has
    std::string warning;  // for the log
    MessageCode warning_code{};
  };
  [[nodiscard]] Finding look(const Served& served, os::TimePoint now);
  // The master knows; there is nothing more to look at.
  void asked() { asked_ = true; }

  // When to look also if nothing is served.
  [[nodiscard]] std::optional<os::TimePoint> next_look() const;

 private:
  [[nodiscard]] Finding look_at_memory(const Served& served, os::TimePoint now);

  const config::PoolConfig* pool_;
  MeasureMemory measure_;  // empty: no limit, or it failed
  ByteSize most_memory_ = config::kUnlimited;
  os::TimePoint started_;
  std::uint64_t most_requests_ = 0;  // 0: none
  std::optional<os::TimePoint> end_of_life_;
  bool asked_ = false;
  std::optional<os::TimePoint> retry_at_;  // a reason was given; when again

  std::uint64_t measured_after_ = 0;  // what was served at the last measurement
  std::optional<os::TimePoint> measured_at_;
  std::uint32_t times_above_ = 0;  // measurements in a row
  bool warned_ = false;
};

}  // namespace prong::worker
