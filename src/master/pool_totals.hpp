// What the workers of a pool have done that are dead by now, so that the pool's numbers go on over deaths, replacements
// and reloads. Kept by the pool's name, which is all that a reload leaves of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "ipc/worker_reading.hpp"
#include "master/own_metric_totals.hpp"
#include "os/clock.hpp"

namespace prong::master {

// What is kept of one death.
struct DeathNote {
  std::string worker;  // as the log names it
  std::string text;    // its obituary
  std::string cause;   // in one word
  bool expected = false;
  os::TimePoint at;
};

struct PoolTotals {
  // Of dead workers alone in PoolBook; of live ones too in what Supervisor::totals() gives. `open_connections` is of
  // live ones only.
  ipc::WorkerTotals served;
  OwnMetricTotals own;                  // what their application has counted itself; the same
  std::uint64_t workers = 0;            // that were forked and have ended
  std::uint64_t unexpected_deaths = 0;  // of them: those whose obituary is an error
  std::uint64_t lost_requests = 0;      // that had begun in a worker and were not over when it died
  // Workers that had overwritten their numbers with what cannot be: they are not in `served`.
  std::uint64_t overwritten = 0;
  std::map<std::string, std::uint64_t> deaths_by_cause;
  // The last one that somebody must look after; as long as there was none: the last one.
  std::optional<DeathNote> last_death;

  // What the live worker has done so far. It has lived that long.
  void add_live(const ipc::WorkerTotals& worker, const OwnReading& own_metrics, std::chrono::nanoseconds lived);
  // "7 connections, 12 requests (1 cut, 2 lost, 1 refused), 3 workers, 1 died unexpectedly"
  [[nodiscard]] std::string text() const;
};

// A pool that is in no configuration any more keeps its numbers until it comes back, or the daemon ends.
class PoolBook {
 public:
  // A worker of that pool is dead.
  void bury(const std::string& pool, const ipc::WorkerTotals& worker, const OwnReading& own,
            std::chrono::nanoseconds lived, DeathNote death);
  // Of its dead workers; of a pool that had none: nothing but zeros.
  [[nodiscard]] PoolTotals of(const std::string& pool) const;
  [[nodiscard]] const std::map<std::string, PoolTotals>& pools() const { return pools_; }

 private:
  std::map<std::string, PoolTotals> pools_;
};

}  // namespace prong::master
