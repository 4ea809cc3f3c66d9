// The text that Prometheus reads, in its own format and in OpenMetrics 1.0: which differ in how the families of
// counters are named, in units, and in the end. Only the syntax; what is told is metrics.cpp's.
// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md
// https://prometheus.io/docs/instrumenting/exposition_formats/
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace prong::app {

enum class MetricsFormat : std::uint8_t { kPrometheus, kOpenMetrics };
[[nodiscard]] std::string_view content_type_of(MetricsFormat format);

enum class MetricType : std::uint8_t {
  kCounter,
  kBareCounter,  // one whose name does not end in "_total": OpenMetrics has no such counters, and calls it unknown
  kGauge,
  kHistogram,
  kInfo,
};

// One metric with all its series. A counter's name is without "_total", an info's without "_info".
struct MetricFamily {
  std::string_view name;  // [a-zA-Z0-9_]; ends in "_" and the unit, if it has one
  MetricType type = MetricType::kGauge;
  std::string_view unit = {};  // "seconds", "bytes"
  std::string_view help = {};  // one line; may be empty
};

using Label = std::pair<std::string_view, std::string_view>;

// One bucket of a histogram: how many are not larger than `bound`.
struct CumulativeBucket {
  std::string_view bound;  // as it is written: "0.001", "+Inf" for the last one
  std::uint64_t count = 0;
};

class MetricsText {
 public:
  explicit MetricsText(MetricsFormat format) : format_(format) {}

  // All series of a family follow at once: the format wants it.
  void begin(const MetricFamily& family);
  void add(std::span<const Label> labels, std::uint64_t value);
  void add(std::span<const Label> labels, std::int64_t value);
  void add(std::span<const Label> labels, double value);
  void add_histogram(std::span<const Label> labels, std::span<const CumulativeBucket> buckets, double sum);
  // The same with labels that stand in the call.
  template <class Value>
  void add(std::initializer_list<Label> labels, Value value) {
    add(std::span{labels.begin(), labels.size()}, value);
  }
  void add_histogram(std::initializer_list<Label> labels, std::span<const CumulativeBucket> buckets, double sum) {
    add_histogram(std::span{labels.begin(), labels.size()}, buckets, sum);
  }
  // For people, between two families; nothing in OpenMetrics, which has no comments. One line.
  void comment(std::string_view line);
  [[nodiscard]] std::string finish() &&;

 private:
  void sample(std::string_view suffix, std::span<const Label> labels, std::string_view bound, std::string_view value);

  MetricsFormat format_;
  MetricFamily family_;
  std::string text_;
};

}  // namespace prong::app
