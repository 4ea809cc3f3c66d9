#include "app/status/metrics.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "app/status/metric_buckets.hpp"
#include "app/status/own_metrics.hpp"
#include "http/field_list.hpp"

namespace prong::app {
namespace {

constexpr auto kCounter = MetricType::kCounter;

using Workers = std::vector<ipc::WorkerReport>;

// ---- the daemon

constexpr std::array<std::string_view, 4> kDaemonStates{"starting", "serving", "reloading", "stopping"};

void tell_daemon(const ipc::DaemonReport& daemon, MetricsText& text) {
  text.begin({.name = "prongd_build", .type = MetricType::kInfo, .help = "The version of prongd."});
  text.add({{"version", daemon.version}}, std::uint64_t{1});
  text.begin({.name = "prongd_start_time_seconds",
              .unit = "seconds",
              .help = "When the daemon was started, in seconds since 1970."});
  text.add({}, seconds(daemon.started));
  text.begin({.name = "prongd_state", .help = "Whether the daemon is in that state: 1, else 0."});
  for (const std::string_view state : kDaemonStates)
    text.add({{"state", state}}, std::uint64_t{state == daemon.state ? 1U : 0U});
  text.begin({.name = "prongd_generation",
              .help = "The number of the configuration that serves: each reload that succeeds makes the next. 0: none "
                      "does, the daemon is stopping."});
  text.add({}, std::uint64_t{daemon.generation});
  text.begin({.name = "prongd_reloads", .type = kCounter, .help = "Reloads that are over, by outcome."});
  text.add({{"outcome", "done"}}, daemon.reloads_done);
  text.add({{"outcome", "failed"}}, daemon.reloads_failed);
  text.begin({.name = "prongd_last_reload_successful",
              .help = "Whether the configuration in its file is the one that serves: 0 when the last reload failed."});
  text.add({}, std::uint64_t{daemon.last_reload_failure.empty() ? 1U : 0U});
  text.begin(
      {.name = "prongd_master_resident_memory_bytes", .unit = "bytes", .help = "Resident memory of the master."});
  text.add({}, daemon.process.resident_bytes);
  text.begin({.name = "prongd_master_cpu_seconds",
              .type = kCounter,
              .unit = "seconds",
              .help = "Processor time of the master, user and system."});
  text.add({}, seconds(daemon.process.cpu_time));
}

// ---- pools

struct PoolMetric {
  MetricFamily family;
  std::uint64_t (*value)(const ipc::PoolReport& pool) = nullptr;
};

// What is one number for each pool.
constexpr std::array kPoolMetrics{
    PoolMetric{{.name = "prongd_pool_wanted_workers",
                .help = "Workers that the pool should have; of a pool of programs: "
                        "those that should wait for connections."},
               [](const ipc::PoolReport& pool) { return std::uint64_t{pool.wanted}; }},
    PoolMetric{
        {.name = "prongd_pool_paused", .help = "Whether the pool accepts nothing because an operator paused it."},
        [](const ipc::PoolReport& pool) { return std::uint64_t{pool.paused ? 1U : 0U}; }},
    PoolMetric{{.name = "prongd_pool_connections", .type = kCounter, .help = "Connections that were accepted."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.connections; }},
    PoolMetric{{.name = "prongd_pool_open_connections", .help = "Connections that are open now."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.open_connections; }},
    PoolMetric{{.name = "prongd_pool_queued_connections",
                .help = "Connections that wait in the queues of the pool's TCP listeners for a worker to accept them."},
               [](const ipc::PoolReport& pool) { return pool.queued; }},
    PoolMetric{{.name = "prongd_pool_requests",
                .type = kCounter,
                .help = "Requests that are over: answered, or their client has left."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.requests; }},
    PoolMetric{{.name = "prongd_pool_requests_in_progress", .help = "Requests that have begun and are not over."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.inside(); }},
    PoolMetric{{.name = "prongd_pool_cut_requests",
                .type = kCounter,
                .help = "Of the requests that are over: those whose client did not get the whole answer."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.cut; }},
    PoolMetric{{.name = "prongd_pool_lost_requests",
                .type = kCounter,
                .help = "Requests that were inside a worker when it died; they are in no other counter."},
               [](const ipc::PoolReport& pool) { return pool.lost; }},
    PoolMetric{{.name = "prongd_pool_refused_requests",
                .type = kCounter,
                .help = "Answers to what was no request: a head that was bad, or came too slowly."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.refused; }},
    PoolMetric{{.name = "prongd_pool_received_bytes",
                .type = kCounter,
                .unit = "bytes",
                .help = "Bytes from clients, with all heads."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.received_bytes; }},
    PoolMetric{{.name = "prongd_pool_sent_bytes",
                .type = kCounter,
                .unit = "bytes",
                .help = "Bytes for clients that were handed to the kernel, with all heads."},
               [](const ipc::PoolReport& pool) { return pool.served.counts.sent_bytes; }},
    PoolMetric{
        {.name = "prongd_pool_unexpected_deaths", .type = kCounter, .help = "Deaths of workers that nobody asked for."},
        [](const ipc::PoolReport& pool) { return pool.deaths; }},
    PoolMetric{{.name = "prongd_pool_resident_memory_bytes",
                .unit = "bytes",
                .help = "Resident memory of the pool's workers together; what they share counts for each of them."},
               [](const ipc::PoolReport& pool) { return pool.process.resident_bytes; }},
};

// Those of which the pool has newer ones that serve.
std::uint64_t previous_workers(const Workers& all, std::uint32_t serving, const std::string& pool) {
  std::uint32_t newest = 0;
  for (const ipc::WorkerReport& worker : all)
    if (worker.pool == pool && worker.generation <= serving) newest = std::max(newest, worker.generation);
  return static_cast<std::uint64_t>(std::ranges::count_if(
      all, [&](const ipc::WorkerReport& worker) { return worker.pool == pool && worker.generation < newest; }));
}

void tell_pool_workers(const ipc::DaemonReport& daemon, MetricsText& text) {
  text.begin({.name = "prongd_pool", .type = MetricType::kInfo, .help = "The pools, and what each of them runs."});
  for (const ipc::PoolReport& pool : daemon.pools) text.add({{"pool", pool.name}, {"app", pool.app}}, std::uint64_t{1});
  text.begin({.name = "prongd_pool_workers",
              .help =
                  "Workers by what they do. starting: also those that wait after a failed start; busy: programs that "
                  "serve a connection; leaving: they finish what they have, or are being killed."});
  for (const ipc::PoolReport& pool : daemon.pools) {
    text.add({{"pool", pool.name}, {"state", "ready"}}, std::uint64_t{pool.ready});
    text.add({{"pool", pool.name}, {"state", "starting"}}, std::uint64_t{pool.starting});
    text.add({{"pool", pool.name}, {"state", "busy"}}, std::uint64_t{pool.busy});
    text.add({{"pool", pool.name}, {"state", "leaving"}}, std::uint64_t{pool.leaving});
  }
  if (!daemon.workers) return;
  text.begin({.name = "prongd_pool_previous_generation_workers",
              .help = "Workers of a generation before the one that serves: they finish what they have."});
  for (const ipc::PoolReport& pool : daemon.pools)
    text.add({{"pool", pool.name}}, previous_workers(*daemon.workers, daemon.generation, pool.name));
}

void tell_answers(const ipc::DaemonReport& daemon, MetricsText& text) {
  constexpr std::array<std::string_view, ipc::kStatusClasses> kClasses{"1xx", "2xx", "3xx", "4xx", "5xx"};
  text.begin({.name = "prongd_pool_answers",
              .type = kCounter,
              .help = "Answers that were sent whole, by the class of their status."});
  for (const ipc::PoolReport& pool : daemon.pools)
    for (std::size_t i = 0; i < kClasses.size(); ++i)
      text.add({{"pool", pool.name}, {"class", kClasses.at(i)}}, pool.served.counts.classes.at(i));
  text.begin({.name = "prongd_pool_failed_answers",
              .type = kCounter,
              .help = "Of the answers those with one of these statuses, each of which has its own cause."});
  for (const ipc::PoolReport& pool : daemon.pools)
    for (std::size_t i = 0; i < ipc::kCountedStatuses.size(); ++i)
      text.add({{"pool", pool.name}, {"status", std::to_string(ipc::kCountedStatuses.at(i))}},
               pool.served.counts.statuses.at(i));
}

// Told from the start, as 0: Prometheus does not see a counter grow that appears as 1. The words of master/obituary,
// and the signals and the status that crashes and failed starts end with.
constexpr std::array<std::string_view, 20> kCommonCauses{
    "stop",          "reload",       "recycle",          "scale",   "terminated", "finished", "request_timeout",
    "start_timeout", "start_failed", "graceful_timeout", "channel", "deadline",   "SIGSEGV",  "SIGABRT",
    "SIGBUS",        "SIGFPE",       "SIGILL",           "SIGKILL", "oom",        "exit_1"};

void tell_deaths(const ipc::DaemonReport& daemon, MetricsText& text) {
  text.begin({.name = "prongd_pool_deaths", .type = kCounter, .help = "Workers that have ended, by cause."});
  for (const ipc::PoolReport& pool : daemon.pools) {
    std::map<std::string_view, std::uint64_t> deaths;
    for (const std::string_view cause : kCommonCauses) deaths[cause] = 0;
    for (const auto& [cause, count] : pool.deaths_by_cause) deaths[cause] = count;
    for (const auto& [cause, count] : deaths) text.add({{"pool", pool.name}, {"cause", cause}}, count);
  }
}

void tell_pools(const ipc::DaemonReport& daemon, MetricsText& text) {
  tell_pool_workers(daemon, text);
  for (const PoolMetric& metric : kPoolMetrics) {
    text.begin(metric.family);
    for (const ipc::PoolReport& pool : daemon.pools) text.add({{"pool", pool.name}}, metric.value(pool));
  }
  tell_answers(daemon, text);
  tell_deaths(daemon, text);
  const auto tell_histogram = [&](const MetricFamily& family, ipc::Histogram ipc::WorkerTotals::* which) {
    text.begin(family);
    for (const ipc::PoolReport& pool : daemon.pools)
      text.add_histogram({{"pool", pool.name}}, cumulative(pool.served.*which), seconds((pool.served.*which).sum()));
  };
  tell_histogram({.name = "prongd_pool_service_time_seconds",
                  .type = MetricType::kHistogram,
                  .unit = "seconds",
                  .help = "Of requests that were answered whole: from their head to the last byte for the kernel."},
                 &ipc::WorkerTotals::service_time);
  tell_histogram({.name = "prongd_pool_queue_delay_seconds",
                  .type = MetricType::kHistogram,
                  .unit = "seconds",
                  .help = "Of TCP connections: from the client's first bytes to the worker that accepted it."},
                 &ipc::WorkerTotals::queue_delay);
}

// ---- workers

struct WorkerMetric {
  MetricFamily family;
  double (*value)(const ipc::WorkerReport& worker) = nullptr;
};

std::uint64_t busy_threads(const ipc::WorkerReport& worker) {
  return static_cast<std::uint64_t>(std::ranges::count_if(
      worker.threads, [](const auto& thread) { return thread && thread->phase != ipc::ThreadPhase::kIdle; }));
}

constexpr std::array kWorkerMetrics{
    WorkerMetric{{.name = "prongd_worker_generation", .help = "The generation that the worker belongs to."},
                 [](const ipc::WorkerReport& worker) { return static_cast<double>(worker.generation); }},
    WorkerMetric{{.name = "prongd_worker_age_seconds", .unit = "seconds", .help = "How long the worker has lived."},
                 [](const ipc::WorkerReport& worker) { return seconds(worker.age); }},
    WorkerMetric{{.name = "prongd_worker_requests", .type = kCounter, .help = "Requests of this worker that are over."},
                 [](const ipc::WorkerReport& worker) { return static_cast<double>(worker.served.counts.requests); }},
    WorkerMetric{{.name = "prongd_worker_requests_in_progress", .help = "Requests inside this worker."},
                 [](const ipc::WorkerReport& worker) { return static_cast<double>(worker.served.counts.inside()); }},
    WorkerMetric{
        {.name = "prongd_worker_open_connections", .help = "Connections that this worker holds."},
        [](const ipc::WorkerReport& worker) { return static_cast<double>(worker.served.counts.open_connections); }},
    WorkerMetric{{.name = "prongd_worker_threads", .help = "Threads of this worker that run the application."},
                 [](const ipc::WorkerReport& worker) { return static_cast<double>(worker.threads.size()); }},
    WorkerMetric{{.name = "prongd_worker_busy_threads", .help = "Of them those that are in the application."},
                 [](const ipc::WorkerReport& worker) { return static_cast<double>(busy_threads(worker)); }},
    WorkerMetric{{.name = "prongd_worker_resident_memory_bytes", .unit = "bytes", .help = "Resident memory."},
                 [](const ipc::WorkerReport& worker) { return static_cast<double>(worker.process.resident_bytes); }},
    WorkerMetric{{.name = "prongd_worker_cpu_seconds",
                  .type = kCounter,
                  .unit = "seconds",
                  .help = "Processor time, user and system."},
                 [](const ipc::WorkerReport& worker) { return seconds(worker.process.cpu_time); }},
};
constexpr std::array<std::string_view, 6> kWorkerStates{"starting", "serving", "taken",
                                                        "draining", "killing", "backoff"};

// One for each place: of several the newest, but of one that is being raised only if it is alone. (A pool that was not
// reloaded keeps workers of an older generation, so that "the one that serves" is not enough.)
std::vector<const ipc::WorkerReport*> workers_by_slot(const Workers& all, std::uint32_t serving) {
  std::map<std::pair<std::string_view, std::uint32_t>, const ipc::WorkerReport*> chosen;
  const auto rank = [&](const ipc::WorkerReport& worker) {
    return std::pair{worker.generation <= serving, worker.generation};
  };
  for (const ipc::WorkerReport& worker : all) {
    const ipc::WorkerReport*& place = chosen[{worker.pool, worker.slot}];
    if (place == nullptr || rank(*place) < rank(worker)) place = &worker;
  }
  std::vector<const ipc::WorkerReport*> workers;
  workers.reserve(chosen.size());
  for (const auto& [place, worker] : chosen) workers.push_back(worker);
  return workers;
}

void tell_workers(const Workers& all, std::uint32_t serving, MetricsText& text) {
  const std::vector<const ipc::WorkerReport*> workers = workers_by_slot(all, serving);
  text.begin({.name = "prongd_worker_state", .help = "Whether the worker is in that state: 1, else 0."});
  for (const ipc::WorkerReport* worker : workers)
    for (const std::string_view state : kWorkerStates)
      text.add({{"pool", worker->pool}, {"worker", std::to_string(worker->slot)}, {"state", state}},
               std::uint64_t{state == worker->state ? 1U : 0U});
  for (const WorkerMetric& metric : kWorkerMetrics) {
    text.begin(metric.family);
    for (const ipc::WorkerReport* worker : workers)
      text.add({{"pool", worker->pool}, {"worker", std::to_string(worker->slot)}}, metric.value(*worker));
  }
  const auto tell_histogram = [&](const MetricFamily& family, ipc::Histogram ipc::WorkerTotals::* which) {
    text.begin(family);
    for (const ipc::WorkerReport* worker : workers) {
      const ipc::Histogram& histogram = worker->served.*which;
      text.add_histogram({{"pool", worker->pool}, {"worker", std::to_string(worker->slot)}}, cumulative(histogram),
                         seconds(histogram.sum()));
    }
  };
  tell_histogram({.name = "prongd_worker_service_time_seconds",
                  .type = MetricType::kHistogram,
                  .unit = "seconds",
                  .help = "As of its pool, of this worker alone."},
                 &ipc::WorkerTotals::service_time);
  tell_histogram({.name = "prongd_worker_queue_delay_seconds",
                  .type = MetricType::kHistogram,
                  .unit = "seconds",
                  .help = "As of its pool, of connections that this worker accepted."},
                 &ipc::WorkerTotals::queue_delay);
}

// Whether an element of an Accept field is OpenMetrics of a version that is spoken here, and wanted at all.
bool wants_open_metrics(std::string_view element) {
  bool is_it = true;
  bool is_type = true;
  while (!element.empty()) {
    const std::size_t end = std::min(element.find(';'), element.size());
    const std::string_view part = http::without_white_space(element.substr(0, end));
    element.remove_prefix(std::min(end + 1, element.size()));
    if (std::exchange(is_type, false))
      is_it = http::equals_ignoring_case(part, "application/openmetrics-text");
    else if (part.starts_with("version="))
      is_it = is_it && (part == "version=1.0.0" || part == "version=\"1.0.0\"");
    else if (part.starts_with("q="))
      is_it = is_it && part.find_first_of("123456789") != std::string_view::npos;
  }
  return is_it && !is_type;
}

}  // namespace

MetricsFormat choose_metrics_format(const http::RequestHeaders& headers) {
  http::ElementsFromEnd elements{headers, "Accept", http::QuotedStrings::kYes};
  while (const auto element = elements.next())
    if (wants_open_metrics(*element)) return MetricsFormat::kOpenMetrics;
  return MetricsFormat::kPrometheus;
}

std::string metrics_of(const ipc::DaemonReport& daemon, MetricsFormat format) {
  MetricsText text{format};
  tell_daemon(daemon, text);
  tell_pools(daemon, text);
  if (daemon.workers) tell_workers(*daemon.workers, daemon.generation, text);
  tell_own_metrics(daemon.pools, text);
  return std::move(text).finish();
}

}  // namespace prong::app
