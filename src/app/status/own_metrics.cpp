#include "app/status/own_metrics.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "app/status/metric_buckets.hpp"

namespace prong::app {
namespace {

// A metric of one pool, with one set of labels.
struct Series {
  const ipc::PoolReport* pool = nullptr;
  const ipc::OwnMetric* metric = nullptr;
};

// All series of a name; at least one.
struct Family {
  std::vector<Series> series;

  [[nodiscard]] const ipc::OwnMetric& first() const { return *series.front().metric; }
  [[nodiscard]] std::string_view help() const {
    for (const Series& one : series)
      if (!one.metric->help.empty()) return one.metric->help;
    return {};
  }
};

// The families of all pools, in the order in which the pools have them.
class Families {
 public:
  void add(const Series& series, MetricsText& text) {
    const ipc::OwnMetric& metric = *series.metric;
    if (Family* known = find(metric.name); known != nullptr && known->first().kind() == metric.kind())
      return known->series.push_back(series);
    const Family* other = taken_by_another(metric);
    if (other == nullptr) {
      const std::size_t number = families_.size();
      families_.push_back({.series = {series}});
      by_name_.emplace(metric.name, number);
      for (std::string& name : ipc::names_taken_by(metric.kind(), metric.name)) taken_.emplace(std::move(name), number);
      return;
    }
    const auto& [pool, first] = other->series.front();
    text.comment(fmt::format("pool {}: the {} {} is left out: it does not go with the {} {} of pool {}",
                             series.pool->name, ipc::kMetricKindText.text(metric.kind()), metric.name,
                             ipc::kMetricKindText.text(first->kind()), first->name, pool->name));
    left_out_.insert(series.pool);
  }

  [[nodiscard]] const std::vector<Family>& families() const { return families_; }
  [[nodiscard]] bool has_left_out(const ipc::PoolReport& pool) const { return left_out_.contains(&pool); }

 private:
  [[nodiscard]] Family* find(std::string_view name) {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &families_.at(found->second);
  }
  [[nodiscard]] const Family* taken_by_another(const ipc::OwnMetric& metric) const {
    for (const std::string& name : ipc::names_taken_by(metric.kind(), metric.name))
      if (const auto found = taken_.find(name); found != taken_.end()) return &families_.at(found->second);
    return nullptr;
  }

  std::vector<Family> families_;
  std::map<std::string_view, std::size_t> by_name_;
  std::map<std::string, std::size_t> taken_;  // a name that Prometheus knows -> the family
  std::set<const ipc::PoolReport*> left_out_;
};

void begin(const Family& family, MetricsText& text) {
  constexpr std::string_view kTotal = "_total";
  std::string_view name = family.first().name;
  MetricType type = MetricType::kBareCounter;
  switch (family.first().kind()) {
    case ipc::MetricKind::kCounter:
      if (!name.ends_with(kTotal)) break;
      type = MetricType::kCounter;
      name.remove_suffix(kTotal.size());
      break;
    case ipc::MetricKind::kGauge:
      type = MetricType::kGauge;
      break;
    case ipc::MetricKind::kHistogram:
      type = MetricType::kHistogram;
      break;
  }
  text.begin({.name = name, .type = type, .help = family.help()});
}

void tell(const Series& series, MetricsText& text) {
  std::vector<Label> labels{{"pool", series.pool->name}};
  labels.insert(labels.end(), series.metric->labels.begin(), series.metric->labels.end());
  const ipc::MetricValue& value = series.metric->value;
  if (const auto* histogram = std::get_if<ipc::Histogram>(&value))
    text.add_histogram(labels, cumulative(*histogram), seconds(histogram->sum()));
  else if (const auto* level = std::get_if<std::int64_t>(&value))
    text.add(labels, *level);
  else
    text.add(labels, std::get<std::uint64_t>(value));
}

}  // namespace

void tell_own_metrics(const std::vector<ipc::PoolReport>& pools, MetricsText& text) {
  Families families;
  for (const ipc::PoolReport& pool : pools)
    for (const ipc::OwnMetric& metric : pool.metrics) families.add({.pool = &pool, .metric = &metric}, text);
  for (const Family& family : families.families()) {
    begin(family, text);
    for (const Series& series : family.series) tell(series, text);
  }
  text.begin({.name = "prongd_pool_metrics_left_out",
              .help =
                  "Whether metrics of the pool's module are not told: its workers have more than a pool may have, or "
                  "another pool has their name for something else."});
  for (const ipc::PoolReport& pool : pools)
    if (!pool.metrics.empty())
      text.add({{"pool", pool.name}}, std::uint64_t{pool.metrics_left_out || families.has_left_out(pool) ? 1U : 0U});
}

}  // namespace prong::app
