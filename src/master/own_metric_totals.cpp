#include "master/own_metric_totals.hpp"

#include <limits>
#include <utility>
#include <variant>

#include "ipc/counter.hpp"

namespace prong::master {
namespace {

// Levels that are more than there are stop at the end of the numbers, as counters do.
std::int64_t saturating_sum(std::int64_t left, std::int64_t right) {
  std::int64_t sum = 0;
  if (!__builtin_add_overflow(left, right, &sum)) return sum;
  return right < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

// Both are of one kind.
void merge(ipc::MetricValue& into, const ipc::MetricValue& other) {
  if (auto* count = std::get_if<std::uint64_t>(&into))
    *count = ipc::saturating_sum(*count, std::get<std::uint64_t>(other));
  else if (auto* level = std::get_if<std::int64_t>(&into))
    *level = saturating_sum(*level, std::get<std::int64_t>(other));
  else
    std::get<ipc::Histogram>(into).merge(std::get<ipc::Histogram>(other));
}

}  // namespace

void OwnMetricTotals::add_dead(const OwnReading& worker) {
  for (const ipc::OwnMetric& metric : worker.metrics)
    if (metric.kind() != ipc::MetricKind::kGauge) add(metric, worker.generation, Life::kDead);
}

void OwnMetricTotals::add_live(const OwnReading& worker) {
  for (const ipc::OwnMetric& metric : worker.metrics) add(metric, worker.generation, Life::kLiving);
}

void OwnMetricTotals::add(const ipc::OwnMetric& metric, std::uint32_t generation, Life life) {
  Key key{metric.name, metric.labels, metric.kind()};
  const auto found = sums_.find(key);
  if (found == sums_.end()) {
    if (sums_.size() < kMost || make_room(generation))
      sums_.emplace(std::move(key),
                    Sum{.value = metric.value, .help = metric.help, .generation = generation, .life = life});
    else if (life == Life::kLiving)
      has_left_out_ = true;
    return;
  }
  Sum& sum = found->second;
  merge(sum.value, metric.value);
  if (generation >= sum.generation) {
    sum.generation = generation;
    sum.help = metric.help;
  }
  if (life == Life::kLiving) sum.life = life;
}

bool OwnMetricTotals::make_room(std::uint32_t generation) {
  auto oldest = sums_.end();
  for (auto sum = sums_.begin(); sum != sums_.end(); ++sum) {
    if (sum->second.life == Life::kLiving || sum->second.generation >= generation) continue;
    if (oldest == sums_.end() || sum->second.generation < oldest->second.generation) oldest = sum;
  }
  if (oldest == sums_.end()) return false;
  sums_.erase(oldest);
  return true;
}

std::vector<ipc::OwnMetric> OwnMetricTotals::metrics() const {
  std::map<std::string_view, std::tuple<Life, std::uint32_t, ipc::MetricKind>> kinds;
  for (const auto& [key, sum] : sums_) {
    const std::tuple has{sum.life, sum.generation, std::get<ipc::MetricKind>(key)};
    const auto [known, is_new] = kinds.emplace(std::get<std::string>(key), has);
    if (!is_new && known->second < has) known->second = has;
  }
  std::vector<ipc::OwnMetric> metrics;
  for (const auto& [key, sum] : sums_) {
    const auto& [name, labels, kind] = key;
    if (std::get<ipc::MetricKind>(kinds.at(name)) == kind)
      metrics.push_back({.name = name, .labels = labels, .help = sum.help, .value = sum.value});
  }
  return metrics;
}

}  // namespace prong::master
