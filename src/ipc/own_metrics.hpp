// A worker's own metrics: counters, gauges and histograms that its application defines while it runs. They stand in the
// worker's scoreboard, in an area of fixed size that only pools have whose application may define some.
//
// A metric is defined once and never goes: a cell is written whole, then published by its first word, and from then on
// only its value changes, by atomic additions from any thread of the worker. The master reads all of it as untrusted
// bytes and leaves out what no worker writes.
//
// Not in the area: a lock. One that a thread holds that dies would hold up whoever came next, so defining takes one of
// the process.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "ipc/counter.hpp"
#include "ipc/histogram.hpp"
#include "ipc/metric_name.hpp"

namespace prong::ipc {

// Each set of labels counts as one. As many as a service needs that somebody looks at, and few enough that what labels
// of a client's choosing would do (a metric for each key, say) is noticed at once; the master reads them all whenever
// it is asked.
inline constexpr std::size_t kMostOwnMetrics = 64;
// Of them. Each has a kilobyte here, and 23 lines in the text for Prometheus.
inline constexpr std::size_t kMostOwnHistograms = 16;

// In shared memory; zero bytes are its valid initial state, a cell that is free.
class alignas(64) OwnMetricCell {
 public:
  // What it is, without its value; valid texts, as metric_name.hpp has them.
  struct Definition {
    MetricKind kind = MetricKind::kCounter;
    std::uint8_t histogram = 0;  // of a histogram: its place
    std::string name = {};
    std::string labels = {};
    std::string help = {};
  };
  // In the worker, once. Whoever sees that it is defined sees all of it.
  void define(const Definition& definition);

  [[nodiscard]] bool is_defined() const { return value_of(shape_) != 0; }
  // Nothing: it is free, or holds what no worker writes. The labels are not looked at yet.
  [[nodiscard]] std::optional<Definition> definition() const;

  Counter counter;
  std::atomic<std::int64_t> gauge;

 private:
  static constexpr std::size_t kWord = sizeof(std::uint64_t);
  static constexpr std::size_t kMostText = kMostMetricName + kMostMetricLabels + kMostMetricHelp + 1;
  static_assert(kMostText % kWord == 0);

  Counter shape_;  // bytes from the lowest on: 1 + kind, the histogram, the sizes of name, labels and help
  std::array<Counter, 5> unused_;  // so that who counts and who reads texts have cache lines of their own
  std::array<Counter, kMostText / kWord> text_;
};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);
static_assert(sizeof(OwnMetricCell) == 448, "seven cache lines");

// The area. Metrics are defined from the first cell on, without a gap.
struct OwnMetricCells {
  std::array<OwnMetricCell, kMostOwnMetrics> metrics;
  std::array<SharedHistogram, kMostOwnHistograms> histograms;
};

// What an application says of a metric. Borrowed for the call.
struct MetricName {
  std::string_view name;
  std::string_view labels = {};  // code="5",command="get"
  std::string_view help = {};    // for people, one line; that of the first definition stays
};

// In the worker, one for the whole process: of any thread.
//
// Each of the three gives the one cell of that name and these labels, for ever the same, whatever the order of the
// labels; whether it is new or not. It lives as long as the worker's scoreboard. What is counted is added with relaxed
// order (fetch_add). The error, which names the metric: there are as many as there may be; a name, labels or a help
// that cannot be (metric_name.hpp); the name is one of another kind, or of the names that another metric has for
// Prometheus.
//
// It blocks for as long as another thread defines one: some microseconds at the worst. Worth keeping what it gave.
class OwnMetrics {
 public:
  // Nothing is defined in `cells` yet. Borrowed.
  explicit OwnMetrics(OwnMetricCells& cells) : cells_(&cells) {}

  [[nodiscard]] Result<std::atomic<std::uint64_t>*> counter(const MetricName& name);
  [[nodiscard]] Result<std::atomic<std::int64_t>*> gauge(const MetricName& name);
  [[nodiscard]] Result<SharedHistogram*> histogram(const MetricName& name);

 private:
  // Of a metric that is defined.
  struct Place {
    OwnMetricCell* cell = nullptr;
    SharedHistogram* histogram = nullptr;  // of histograms
  };
  [[nodiscard]] Result<Place> find_or_define(MetricKind kind, const MetricName& name);
  [[nodiscard]] Result<Place> define(MetricKind kind, const MetricName& name, const MetricLabels& labels);
  [[nodiscard]] Result<void> check_taken(MetricKind kind, std::string_view name) const;

  std::mutex mutex_;
  OwnMetricCells* cells_;
  // What was defined, apart from the cells: into those the application may write what it likes.
  std::map<std::pair<std::string, MetricLabels>, Place> places_;
  std::map<std::string, MetricKind, std::less<>> kinds_;  // by name
  std::map<std::string, std::string> taken_;              // names for Prometheus -> the metric
  std::size_t histograms_ = 0;
};

// ---- in the master

// The alternatives stand in the order of MetricKind.
using MetricValue = std::variant<std::uint64_t, std::int64_t, Histogram>;

struct OwnMetric {
  std::string name = {};
  MetricLabels labels = {};
  std::string help = {};
  MetricValue value = {};

  [[nodiscard]] MetricKind kind() const { return static_cast<MetricKind>(value.index()); }
};

// At most kMostOwnMetrics, no two of the same name and labels.
[[nodiscard]] std::vector<OwnMetric> read_own_metrics(const OwnMetricCells& cells);

}  // namespace prong::ipc
