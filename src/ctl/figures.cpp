#include "ctl/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <map>

#include "base/units.hpp"

namespace prong::ctl {
namespace {

// Buckets by their upper ends.
using Buckets = std::map<double, double>;

Buckets buckets_of(const Json& histogram) {
  Buckets buckets;
  for (const Json* entry : entries(histogram, "buckets")) {
    if (!entry->is_array() || entry->size() != 2) continue;
    const Json& end = (*entry)[0];
    const Json& count = (*entry)[1];
    if (end.is_number() && count.is_number()) buckets[end.get<double>()] += count.get<double>();
  }
  return buckets;
}

// What came since `before`.
Buckets difference(Buckets now, const Buckets& before) {
  for (const auto& [end, count] : before) {
    const auto found = now.find(end);
    if (found != now.end()) found->second = std::max(0.0, found->second - count);
  }
  return now;
}

std::optional<double> percentile(const Buckets& buckets, double fraction) {
  double count = 0;
  for (const auto& [end, in_bucket] : buckets) count += in_bucket;
  if (count <= 0) return std::nullopt;
  double seen = 0;
  for (const auto& [end, in_bucket] : buckets) {
    seen += in_bucket;
    if (seen >= count * fraction) return end;
  }
  return buckets.rbegin()->first;
}

// With three digits that count: "3.14", "31.4", "314".
std::string three_digits(double value) {
  constexpr double kWithoutFraction = 99.95;
  constexpr double kOneDigit = 9.995;
  if (value >= kWithoutFraction) return fmt::format("{:.0f}", value);
  return fmt::format("{:.{}f}", value, value >= kOneDigit ? 1 : 2);
}

// Nothing: they are answers of two daemons.
std::optional<double> seconds_between(const Json& earlier, const Json& daemon) {
  if (number_of(earlier, "pid") != number_of(daemon, "pid")) return std::nullopt;
  const double seconds = number_of(daemon, "uptime_seconds") - number_of(earlier, "uptime_seconds");
  return seconds > 0 ? std::optional{seconds} : std::nullopt;
}

Figures since(const Json* before, const Json& now, std::optional<double> seconds) {
  if (!seconds) return {};
  static const Json nothing = Json::object();
  return between(before != nullptr ? *before : nothing, now, *seconds);
}

constexpr double kMedian = 0.5;
constexpr double kNearlyAll = 0.99;

// The same one; without it an empty one.
const Json& same_metric(const Json* pool, const Json& metric) {
  static const Json nothing = Json::object();
  if (pool == nullptr) return nothing;
  for (const Json* other : entries(*pool, "metrics"))
    if (text_of(*other, "name") == text_of(metric, "name") && text_of(*other, "kind") == text_of(metric, "kind") &&
        member(*other, "labels") == member(metric, "labels"))
      return *other;
  return nothing;
}

}  // namespace

Figures between(const Json& before, const Json& now, double seconds) {
  static const Json nothing = Json::object();
  const bool is_another = number_of(now, "requests") < number_of(before, "requests");
  const Json& base = is_another ? nothing : before;
  const Buckets service = difference(buckets_of(member(now, "service_time")), buckets_of(member(base, "service_time")));
  const Buckets queue = difference(buckets_of(member(now, "queue_delay")), buckets_of(member(base, "queue_delay")));
  const double processor = number_of(now, "cpu_seconds") - number_of(base, "cpu_seconds");
  return {.requests_per_second = (number_of(now, "requests") - number_of(base, "requests")) / seconds,
          .processor_share = std::max(0.0, processor) / seconds,
          .service_median = percentile(service, kMedian),
          .service_99 = percentile(service, kNearlyAll),
          .queue_99 = percentile(queue, kNearlyAll)};
}

const Json* pool_in(const Json& daemon, const std::string& name) {
  for (const Json* pool : entries(daemon, "pools"))
    if (text_of(*pool, "name") == name) return pool;
  return nullptr;
}

const Json* worker_in(const Json& daemon, double pid) {
  for (const Json* worker : entries(daemon, "workers"))
    if (number_of(*worker, "pid") == pid) return worker;
  return nullptr;
}

Figures pool_figures(const Json& pool, const Json& daemon, const std::optional<Json>& earlier) {
  if (!earlier) return {};
  return since(pool_in(*earlier, text_of(pool, "name")), pool, seconds_between(*earlier, daemon));
}

Figures worker_figures(const Json& worker, const Json& daemon, const std::optional<Json>& earlier) {
  if (!earlier) return {};
  return since(worker_in(*earlier, number_of(worker, "pid")), worker, seconds_between(*earlier, daemon));
}

MetricFigures metric_figures(const Json& metric, const Json& pool, const Json& daemon,
                             const std::optional<Json>& earlier) {
  const std::optional<double> seconds = earlier ? seconds_between(*earlier, daemon) : std::nullopt;
  if (!seconds) return {};
  const Json& before = same_metric(pool_in(*earlier, text_of(pool, "name")), metric);
  const char* const count = text_of(metric, "kind") == "histogram" ? "count" : "value";
  const double added = number_of(metric, count) - number_of(before, count);
  const Buckets buckets = difference(buckets_of(metric), buckets_of(before));
  return {.per_second = std::max(0.0, added) / *seconds,
          .median = percentile(buckets, kMedian),
          .percentile_99 = percentile(buckets, kNearlyAll)};
}

std::string short_time(std::optional<double> seconds) {
  if (!seconds) return "-";
  constexpr double kMilli = 1e-3;
  constexpr double kMicro = 1e-6;
  constexpr double kMinute = 60;
  if (*seconds < kMilli) return fmt::format("{:.0f}us", *seconds / kMicro);
  if (*seconds < 1) return three_digits(*seconds / kMilli) + "ms";
  if (*seconds < kMinute) return three_digits(*seconds) + "s";
  return to_rough_text(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(*seconds)));
}

std::string short_rate(std::optional<double> rate) {
  if (!rate) return "-";
  constexpr double kThousand = 1e3;
  constexpr double kMillion = 1e6;
  constexpr double kFromThousands = 1e4;
  if (*rate >= kMillion) return three_digits(*rate / kMillion) + 'M';
  if (*rate >= kFromThousands) return three_digits(*rate / kThousand) + 'k';
  return fmt::format("{:.0f}", *rate);
}

std::string percent(std::optional<double> share) {
  constexpr double kWhole = 100;
  return share ? fmt::format("{:.0f}%", *share * kWhole) : "-";
}

std::string short_size(double bytes) {
  constexpr std::array<const char*, 4> kUnits{"K", "M", "G", "T"};
  constexpr double kStep = 1024;
  if (bytes <= 0) return "-";
  double value = bytes / kStep;
  std::size_t unit = 0;
  while (value >= kStep && unit + 1 < kUnits.size()) {
    value /= kStep;
    ++unit;
  }
  constexpr double kWithFraction = 9.95;
  return fmt::format("{:.{}f}{}", value, value < kWithFraction ? 1 : 0, kUnits.at(unit));
}

std::string rough_duration(const Json& object, const char* name) {
  if (!member(object, name).is_number()) return {};
  return to_rough_text(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(number_of(object, name))));
}

}  // namespace prong::ctl
