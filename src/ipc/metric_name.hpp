// What a metric of an application may be called: names and labels as Prometheus has them, of printable ASCII alone,
// because they are also shown on terminals. Read strictly on both sides: when the worker defines a metric, and when the
// master reads what a worker has written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum_text.hpp"
#include "base/error.hpp"

namespace prong::ipc {

enum class MetricKind : std::uint8_t {
  kCounter,    // only grows
  kGauge,      // a level that goes up and down
  kHistogram,  // of durations
};
inline constexpr EnumText<MetricKind, 3> kMetricKindText{
    {{{MetricKind::kCounter, "counter"}, {MetricKind::kGauge, "gauge"}, {MetricKind::kHistogram, "histogram"}}}};

inline constexpr std::size_t kMostMetricName = 63;
inline constexpr std::size_t kMostMetricLabels = 160;  // all of a metric, as text
inline constexpr std::size_t kMostMetricHelp = 160;

// Names and values, the values as they are meant: without escapes.
using MetricLabels = std::map<std::string, std::string>;

// [a-zA-Z_][a-zA-Z0-9_]*, of at most kMostMetricName, and not one of the daemon's own, which begin with "prongd_". The
// error is the reason alone.
[[nodiscard]] Result<void> check_metric_name(std::string_view name);
// One line, which may be empty.
[[nodiscard]] Result<void> check_metric_help(std::string_view help);

// From Prometheus' form without braces: `code="5",command="get"`, in any order; \\ \" and \n in values. The error, the
// reason alone: it is not of that form, a label is there twice, or has a name that is not for applications: "pool",
// "le", or with "__" at its begin.
[[nodiscard]] Result<MetricLabels> parse_metric_labels(std::string_view text);
// The one text of these labels: in the order of their names.
[[nodiscard]] std::string labels_text(const MetricLabels& labels);

// The names under which Prometheus and OpenMetrics know it: the family's, and those of its samples. No two metrics with
// different names may have one of them in common.
[[nodiscard]] std::vector<std::string> names_taken_by(MetricKind kind, std::string_view name);

}  // namespace prong::ipc
