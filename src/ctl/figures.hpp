// What happened between two answers of a daemon: rates and percentiles of that time, and how numbers are written in
// the tables of prongctl.
#pragma once

#include <optional>
#include <string>

#include "ctl/json_view.hpp"

namespace prong::ctl {

// Of one pool or worker. Nothing: it cannot be known, as of a time in which there was no request.
struct Figures {
  std::optional<double> requests_per_second;
  std::optional<double> processor_share;  // 1: one whole processor
  // Seconds that so many of the requests, or connections, did not exceed: the upper end of the histogram's bucket.
  std::optional<double> service_median;
  std::optional<double> service_99;
  std::optional<double> queue_99;
};

// `before` and `now`: a pool, or a worker, in two answers; `seconds`: the time between them. What has fewer requests
// than before is another one of the same name, and counts from its begin.
[[nodiscard]] Figures between(const Json& before, const Json& now, double seconds);

// The pool of that name in an answer; null without one.
[[nodiscard]] const Json* pool_in(const Json& daemon, const std::string& name);
// The worker with this pid.
[[nodiscard]] const Json* worker_in(const Json& daemon, double pid);
// Of a pool, or of a worker, since `earlier`, which has an answer of the same daemon or nothing.
[[nodiscard]] Figures pool_figures(const Json& pool, const Json& daemon, const std::optional<Json>& earlier);
[[nodiscard]] Figures worker_figures(const Json& worker, const Json& daemon, const std::optional<Json>& earlier);

// Of a metric that a module counts itself, in the same way. Of a counter or a histogram how many a second, of a
// histogram the durations that so many did not exceed.
struct MetricFigures {
  std::optional<double> per_second;
  std::optional<double> median;
  std::optional<double> percentile_99;
};
[[nodiscard]] MetricFigures metric_figures(const Json& metric, const Json& pool, const Json& daemon,
                                           const std::optional<Json>& earlier);

// "310us", "3.1ms", "12.4s"; "-" for nothing.
[[nodiscard]] std::string short_time(std::optional<double> seconds);
// "912", "12.3k", "4.1M"
[[nodiscard]] std::string short_rate(std::optional<double> rate);
// "41%"
[[nodiscard]] std::string percent(std::optional<double> share);
// "912K", "41M", "1.2G"; "-" for 0.
[[nodiscard]] std::string short_size(double bytes);
// "2d 4h"; empty when the field is not there.
[[nodiscard]] std::string rough_duration(const Json& object, const char* name);

}  // namespace prong::ctl
