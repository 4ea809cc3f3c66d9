#include "ipc/own_metrics.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/escape.hpp"

namespace prong::ipc {
namespace {

constexpr unsigned kByte = 8;
constexpr std::size_t kKinds = kMetricKindText.entries.size();

MetricValue value_of(const OwnMetricCell::Definition& definition, const OwnMetricCell& cell,
                     const OwnMetricCells& cells) {
  switch (definition.kind) {
    case MetricKind::kCounter:
      break;
    case MetricKind::kGauge:
      return cell.gauge.load(std::memory_order_relaxed);
    case MetricKind::kHistogram:
      return Histogram::of(cells.histograms.at(definition.histogram));
  }
  return ipc::value_of(cell.counter);
}

}  // namespace

void OwnMetricCell::define(const Definition& definition) {
  std::array<char, kMostText> text{};
  std::size_t end = 0;
  for (const std::string* part : {&definition.name, &definition.labels, &definition.help})
    end += part->copy(text.data() + end, text.size() - end);
  for (std::size_t i = 0; i < text_.size(); ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + (i * kWord), kWord);
    text_[i].store(word, std::memory_order_relaxed);
  }
  std::uint64_t shape = 0;
  unsigned shift = 0;
  for (const std::size_t part : {static_cast<std::size_t>(definition.kind) + 1, std::size_t{definition.histogram},
                                 definition.name.size(), definition.labels.size(), definition.help.size()}) {
    shape |= std::uint64_t{part} << shift;
    shift += kByte;
  }
  shape_.store(shape, std::memory_order_release);
}

std::optional<OwnMetricCell::Definition> OwnMetricCell::definition() const {
  const std::uint64_t shape = shape_.load(std::memory_order_acquire);
  std::array<std::uint8_t, kWord> bytes{};
  for (unsigned i = 0; i < kWord; ++i) bytes.at(i) = static_cast<std::uint8_t>(shape >> (i * kByte));
  const auto [kind, histogram, name, labels, help, a, b, c] = bytes;
  if (kind == 0 || kind > kKinds || histogram >= kMostOwnHistograms || (a | b | c) != 0) return std::nullopt;
  if (name > kMostMetricName || labels > kMostMetricLabels || help > kMostMetricHelp) return std::nullopt;
  std::array<char, kMostText> text{};
  for (std::size_t i = 0; i < text_.size(); ++i) {
    const std::uint64_t word = value_of(text_[i]);
    std::memcpy(text.data() + (i * kWord), &word, kWord);
  }
  const std::string_view all{text.data(), text.size()};
  Definition definition{.kind = static_cast<MetricKind>(kind - 1),
                        .histogram = histogram,
                        .name = std::string(all.substr(0, name)),
                        .labels = std::string(all.substr(name, labels)),
                        .help = std::string(all.substr(std::size_t{name} + labels, help))};
  if (!check_metric_name(definition.name) || !check_metric_help(definition.help)) return std::nullopt;
  return definition;
}

// ---- in the worker

Result<std::atomic<std::uint64_t>*> OwnMetrics::counter(const MetricName& name) {
  const auto place = find_or_define(MetricKind::kCounter, name);
  if (!place) return failure(place.error());
  return &place->cell->counter;
}

Result<std::atomic<std::int64_t>*> OwnMetrics::gauge(const MetricName& name) {
  const auto place = find_or_define(MetricKind::kGauge, name);
  if (!place) return failure(place.error());
  return &place->cell->gauge;
}

Result<SharedHistogram*> OwnMetrics::histogram(const MetricName& name) {
  const auto place = find_or_define(MetricKind::kHistogram, name);
  if (!place) return failure(place.error());
  return place->histogram;
}

Result<OwnMetrics::Place> OwnMetrics::find_or_define(MetricKind kind, const MetricName& name) {
  const auto cannot = [&](Error reason) {
    return failure(
        fmt::format(R"(cannot define the {} "{}")", kMetricKindText.text(kind), escaped(name.name, kMostMetricName)),
        std::move(reason));
  };
  if (auto good = check_metric_name(name.name); !good) return cannot(std::move(good.error()));
  auto labels = parse_metric_labels(name.labels);
  if (!labels) return cannot(std::move(labels.error()));
  if (auto good = check_metric_help(name.help); !good) return cannot(std::move(good.error()));
  const std::scoped_lock lock{mutex_};
  if (auto free = check_taken(kind, name.name); !free) return cannot(std::move(free.error()));
  const auto found = places_.find(std::pair{std::string(name.name), *labels});
  if (found != places_.end()) return found->second;
  auto place = define(kind, name, *labels);
  if (!place) return cannot(std::move(place.error()));
  return place;
}

// By another metric.
Result<void> OwnMetrics::check_taken(MetricKind kind, std::string_view name) const {
  if (const auto known = kinds_.find(name); known != kinds_.end()) {
    if (known->second == kind) return {};
    return failure(fmt::format("it is a {} already", kMetricKindText.text(known->second)));
  }
  for (const std::string& taken : names_taken_by(kind, name))
    if (const auto by = taken_.find(taken); by != taken_.end())
      return failure(fmt::format(R"(for Prometheus "{}" is of the {} "{}" already)", taken,
                                 kMetricKindText.text(kinds_.at(by->second)), by->second));
  return {};
}

Result<OwnMetrics::Place> OwnMetrics::define(MetricKind kind, const MetricName& name, const MetricLabels& labels) {
  if (places_.size() == kMostOwnMetrics)
    return failure(fmt::format("there are {} metrics already, as many as there may be", kMostOwnMetrics),
                   "each set of labels is one; let no client choose their values");
  const bool is_histogram = kind == MetricKind::kHistogram;
  if (is_histogram && histograms_ == kMostOwnHistograms)
    return failure(fmt::format("there are {} histograms already, as many as there may be", kMostOwnHistograms),
                   "each set of labels is one");
  const std::size_t histogram = is_histogram ? histograms_++ : 0;
  const Place place{.cell = &cells_->metrics.at(places_.size()),
                    .histogram = is_histogram ? &cells_->histograms.at(histogram) : nullptr};
  place.cell->define({.kind = kind,
                      .histogram = static_cast<std::uint8_t>(histogram),
                      .name = std::string(name.name),
                      .labels = labels_text(labels),
                      .help = std::string(name.help)});
  places_.emplace(std::pair{std::string(name.name), labels}, place);
  if (kinds_.emplace(name.name, kind).second)
    for (std::string& taken : names_taken_by(kind, name.name)) taken_.emplace(std::move(taken), name.name);
  return place;
}

// ---- in the master

std::vector<OwnMetric> read_own_metrics(const OwnMetricCells& cells) {
  const auto* const end = std::ranges::find_if_not(cells.metrics, &OwnMetricCell::is_defined);
  std::vector<OwnMetric> metrics;
  metrics.reserve(static_cast<std::size_t>(end - cells.metrics.begin()));
  std::set<std::string> seen;
  for (const auto* cell = cells.metrics.begin(); cell != end; ++cell) {
    auto definition = cell->definition();
    if (!definition) continue;
    auto labels = parse_metric_labels(definition->labels);
    // A worker writes the one text of its labels, so that what is the same is the same text.
    if (!labels || labels_text(*labels) != definition->labels) continue;
    if (!seen.insert(definition->name + '{' + definition->labels).second) continue;
    metrics.push_back({.name = std::move(definition->name),
                       .labels = *std::move(labels),
                       .help = std::move(definition->help),
                       .value = value_of(*definition, *cell, cells)});
  }
  return metrics;
}

}  // namespace prong::ipc
