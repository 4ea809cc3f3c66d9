// What the workers of a pool have counted themselves (ipc/own_metrics.hpp), added up by name and labels: counters and
// histograms over deaths and reloads, gauges of living workers alone.
//
// Bounded, whatever the workers do: a worker may name anything, and each new generation other things than the one
// before.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "ipc/own_metrics.hpp"

namespace prong::master {

// What one worker has counted itself.
struct OwnReading {
  std::uint32_t generation = 0;  // that it was started for
  std::vector<ipc::OwnMetric> metrics = {};
};

class OwnMetricTotals {
 public:
  // Of all names together. A worker cannot have more, and all workers of a pool name the same as a rule.
  static constexpr std::size_t kMost = ipc::kMostOwnMetrics;

  // When there is no place for a name, the one that goes is of the oldest generation, and only one of an older
  // generation than the reading's: what is not of this pool's module any more. With none of those the name is left out.
  void add_dead(const OwnReading& worker);
  void add_live(const OwnReading& worker);

  // By name and labels. Of a name that had several kinds: those of the kind that it has now.
  [[nodiscard]] std::vector<ipc::OwnMetric> metrics() const;
  // Whether something of a living worker was left out.
  [[nodiscard]] bool has_left_out() const { return has_left_out_; }

 private:
  enum class Life : std::uint8_t { kDead, kLiving };
  // The kind is part of it, so that a name that changes its kind takes nothing from what was counted before.
  using Key = std::tuple<std::string, ipc::MetricLabels, ipc::MetricKind>;
  struct Sum {
    ipc::MetricValue value;
    std::string help;
    std::uint32_t generation = 0;  // the newest that has it
    Life life = Life::kDead;       // kLiving: a living worker has it
  };
  void add(const ipc::OwnMetric& metric, std::uint32_t generation, Life life);
  [[nodiscard]] bool make_room(std::uint32_t generation);

  std::map<Key, Sum> sums_;
  bool has_left_out_ = false;
};

}  // namespace prong::master
