#include "app/status/metrics_text.hpp"

#include <fmt/format.h>

namespace prong::app {
namespace {

constexpr std::string_view kTotal = "_total";
constexpr std::string_view kInfo = "_info";

std::string_view type_text(MetricType type, MetricsFormat format) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kBareCounter:
      return format == MetricsFormat::kOpenMetrics ? "unknown" : "counter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
    case MetricType::kInfo:
      break;
  }
  return format == MetricsFormat::kOpenMetrics ? "info" : "gauge";
}

// What the samples of such a family have behind its name.
std::string_view suffix_of(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return kTotal;
    case MetricType::kInfo:
      return kInfo;
    case MetricType::kBareCounter:
    case MetricType::kGauge:
    case MetricType::kHistogram:
      break;
  }
  return {};
}

enum class Quotes : bool { kEscape, kKeep };

void append_escaped(std::string& text, std::string_view bytes, Quotes quotes) {
  for (const char byte : bytes) {
    if (byte == '\n') {
      text += "\\n";
      continue;
    }
    if (byte == '\\' || (byte == '"' && quotes == Quotes::kEscape)) text += '\\';
    text += byte;
  }
}

void append_label(std::string& text, std::string_view name, std::string_view value) {
  text += text.back() == '{' ? "" : ",";
  text += name;
  text += "=\"";
  append_escaped(text, value, Quotes::kEscape);
  text += '"';
}

}  // namespace

std::string_view content_type_of(MetricsFormat format) {
  switch (format) {
    case MetricsFormat::kPrometheus:
      return "text/plain; version=0.0.4; charset=utf-8";
    case MetricsFormat::kOpenMetrics:
      break;
  }
  return "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

// In OpenMetrics a family is named without the suffix of its samples, in Prometheus' own format with it.
void MetricsText::begin(const MetricFamily& family) {
  family_ = family;
  const bool open = format_ == MetricsFormat::kOpenMetrics;
  const std::string name = fmt::format("{}{}", family.name, open ? std::string_view{} : suffix_of(family.type));
  text_ += fmt::format("# TYPE {} {}\n", name, type_text(family.type, format_));
  if (open && !family.unit.empty()) text_ += fmt::format("# UNIT {} {}\n", name, family.unit);
  if (family.help.empty()) return;
  text_ += fmt::format("# HELP {} ", name);
  append_escaped(text_, family.help, open ? Quotes::kEscape : Quotes::kKeep);
  text_ += '\n';
}

void MetricsText::add(std::span<const Label> labels, std::uint64_t value) {
  sample(suffix_of(family_.type), labels, {}, fmt::format("{}", value));
}

void MetricsText::add(std::span<const Label> labels, std::int64_t value) {
  sample(suffix_of(family_.type), labels, {}, fmt::format("{}", value));
}

void MetricsText::add(std::span<const Label> labels, double value) {
  sample(suffix_of(family_.type), labels, {}, fmt::format("{}", value));
}

void MetricsText::add_histogram(std::span<const Label> labels, std::span<const CumulativeBucket> buckets, double sum) {
  for (const CumulativeBucket& bucket : buckets)
    sample("_bucket", labels, bucket.bound, fmt::format("{}", bucket.count));
  sample("_sum", labels, {}, fmt::format("{}", sum));
  sample("_count", labels, {}, fmt::format("{}", buckets.empty() ? 0 : buckets.back().count));
}

void MetricsText::sample(std::string_view suffix, std::span<const Label> labels, std::string_view bound,
                         std::string_view value) {
  text_ += family_.name;
  text_ += suffix;
  if (!labels.empty() || !bound.empty()) {
    text_ += '{';
    for (const auto& [name, of] : labels) append_label(text_, name, of);
    if (!bound.empty()) append_label(text_, "le", bound);
    text_ += '}';
  }
  text_ += ' ';
  text_ += value;
  text_ += '\n';
}

void MetricsText::comment(std::string_view line) {
  if (format_ == MetricsFormat::kPrometheus) text_ += fmt::format("# {}\n", line);
}

std::string MetricsText::finish() && {
  if (format_ == MetricsFormat::kOpenMetrics) text_ += "# EOF\n";
  return std::move(text_);
}

}  // namespace prong::app
