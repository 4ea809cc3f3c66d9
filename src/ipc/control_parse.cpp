// What the daemon's answers say, for a client that goes on with them in C++.
#include <nlohmann/json.hpp>

#include <cmath>
#include <string>
#include <utility>

#include "ipc/control.hpp"

namespace prong::ipc {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Everything in here throws what nlohmann-json throws: a field that is missing, or of another type.

template <class Rounded>
Rounded duration_of(const Json& seconds) {
  return std::chrono::round<Rounded>(std::chrono::duration<double>(seconds.get<double>()));
}

// A bucket stands there with its end, which is the next one's begin.
Histogram histogram_of(const Json& object) {
  Histogram histogram;
  for (const Json& bucket : object.at("buckets")) {
    const double end = bucket.at(0).get<double>() * std::micro::den;
    const auto past = static_cast<std::uint64_t>(std::llround(end));
    if (past > 0) histogram.add(bucket_of(past - 1), bucket.at(1).get<std::uint64_t>());
  }
  histogram.add_sum(duration_of<std::chrono::microseconds>(object.at("sum_seconds")));
  return histogram;
}

WorkerTotals served_of(const Json& object) {
  WorkerTotals served;
  WorkerCounts& counts = served.counts;
  counts.connections = object.at("connections").get<std::uint64_t>();
  counts.open_connections = object.at("open_connections").get<std::uint64_t>();
  counts.requests = object.at("requests").get<std::uint64_t>();
  counts.begun = counts.requests + object.at("inside").get<std::uint64_t>();
  counts.cut = object.at("cut").get<std::uint64_t>();
  counts.refused = object.at("refused").get<std::uint64_t>();
  counts.received_bytes = object.at("received_bytes").get<std::uint64_t>();
  counts.sent_bytes = object.at("sent_bytes").get<std::uint64_t>();
  const Json& statuses = object.at("statuses");
  for (std::size_t i = 0; i < kStatusClasses; ++i)
    counts.classes.at(i) = statuses.at(std::to_string(i + 1) + "xx").get<std::uint64_t>();
  for (std::size_t i = 0; i < kCountedStatuses.size(); ++i)
    counts.statuses.at(i) = statuses.at(std::to_string(kCountedStatuses.at(i))).get<std::uint64_t>();
  served.service_time = histogram_of(object.at("service_time"));
  served.queue_delay = histogram_of(object.at("queue_delay"));
  return served;
}

ProcessReport process_of(const Json& object) {
  return {.resident_bytes = object.at("resident_bytes").get<std::uint64_t>(),
          .cpu_time = duration_of<milliseconds>(object.at("cpu_seconds"))};
}

DeathReport death_of(const Json& object) {
  return {.worker = object.at("worker").get<std::string>(),
          .text = object.at("text").get<std::string>(),
          .expected = object.at("expected").get<bool>(),
          .ago = duration_of<milliseconds>(object.at("seconds_ago"))};
}

EventReport event_of(const Json& object) {
  return {.kind = kEventKindText.value(object.at("kind").get<std::string>()).value_or(EventReport::Kind::kDeath),
          .subject = object.at("subject").get<std::string>(),
          .text = object.at("text").get<std::string>(),
          .expected = object.at("expected").get<bool>(),
          .ago = duration_of<milliseconds>(object.at("seconds_ago"))};
}

ThreadReport thread_of(const Json& object) {
  ThreadReport thread{
      .phase = kThreadPhaseText.value(object.at("phase").get<std::string>()).value_or(ThreadPhase::kIdle),
      .lasts = duration_of<nanoseconds>(object.at("seconds")),
      .method = object.at("method").get<std::string>(),
      .target = object.at("target").get<std::string>(),
      .peer = object.at("peer").get<std::string>()};
  if (const Json& deadline = object.at("deadline_seconds"); !deadline.is_null())
    thread.deadline = duration_of<nanoseconds>(deadline);
  return thread;
}

WorkerReport worker_of(const Json& object) {
  WorkerReport worker{.pool = object.at("pool").get<std::string>(),
                      .slot = object.at("slot").get<std::uint32_t>(),
                      .generation = object.at("generation").get<std::uint32_t>(),
                      .pid = object.at("pid").get<std::int64_t>(),
                      .state = object.at("state").get<std::string>(),
                      .age = duration_of<milliseconds>(object.at("age_seconds")),
                      .served = served_of(object),
                      .process = process_of(object),
                      .threads = {},
                      .note = object.at("note").get<std::string>()};
  for (const Json& thread : object.at("threads"))
    worker.threads.push_back(thread.is_null() ? std::nullopt : std::optional{thread_of(thread)});
  return worker;
}

MetricValue metric_value_of(const Json& object) {
  switch (kMetricKindText.value(object.at("kind").get<std::string>()).value_or(MetricKind::kCounter)) {
    case MetricKind::kCounter:
      break;
    case MetricKind::kGauge:
      return object.at("value").get<std::int64_t>();
    case MetricKind::kHistogram:
      return histogram_of(object);
  }
  return object.at("value").get<std::uint64_t>();
}

OwnMetric metric_of(const Json& object) {
  return {.name = object.at("name").get<std::string>(),
          .labels = object.at("labels").get<MetricLabels>(),
          .help = object.at("help").get<std::string>(),
          .value = metric_value_of(object)};
}

PoolReport pool_of(const Json& object) {
  const Json& workers = object.at("workers");
  PoolReport pool{.name = object.at("name").get<std::string>(),
                  .app = object.at("app").get<std::string>(),
                  .listeners = object.at("listeners").get<std::vector<std::string>>(),
                  .wanted = workers.at("wanted").get<std::uint32_t>(),
                  .ready = workers.at("ready").get<std::uint32_t>(),
                  .starting = workers.at("starting").get<std::uint32_t>(),
                  .busy = workers.at("busy").get<std::uint32_t>(),
                  .leaving = workers.at("leaving").get<std::uint32_t>(),
                  .paused = object.at("paused").get<bool>(),
                  .queued = object.at("queued").get<std::uint64_t>(),
                  .served = served_of(object),
                  .lost = object.at("lost").get<std::uint64_t>(),
                  .deaths = object.at("deaths").get<std::uint64_t>(),
                  .deaths_by_cause = object.at("deaths_by_cause").get<std::map<std::string, std::uint64_t>>(),
                  .metrics = {},
                  .metrics_left_out = object.at("metrics_left_out").get<bool>(),
                  .process = process_of(object),
                  .last_death = {}};
  for (const Json& metric : object.at("metrics")) pool.metrics.push_back(metric_of(metric));
  if (const Json& death = object.at("last_death"); !death.is_null()) pool.last_death = death_of(death);
  return pool;
}

DaemonReport daemon_of(const Json& object) {
  DaemonReport daemon{.version = object.at("version").get<std::string>(),
                      .pid = object.at("pid").get<std::int64_t>(),
                      .state = object.at("state").get<std::string>(),
                      .generation = object.at("generation").get<std::uint32_t>(),
                      .uptime = duration_of<milliseconds>(object.at("uptime_seconds")),
                      .time = duration_of<milliseconds>(object.at("time")),
                      .started = duration_of<milliseconds>(object.at("started")),
                      .reloads_done = object.at("reloads").at("done").get<std::uint64_t>(),
                      .reloads_failed = object.at("reloads").at("failed").get<std::uint64_t>(),
                      .last_reload_failure = object.at("last_reload_failure").get<std::string>(),
                      .process = process_of(object)};
  for (const Json& pool : object.at("pools")) daemon.pools.push_back(pool_of(pool));
  if (!object.contains("workers")) return daemon;
  daemon.workers.emplace();
  for (const Json& worker : object.at("workers")) daemon.workers->push_back(worker_of(worker));
  for (const Json& event : object.at("events")) daemon.events.push_back(event_of(event));
  return daemon;
}

VersionAnswer version_of(const Json& object) {
  return {.version = object.at("version").get<std::string>(), .pid = object.at("pid").get<std::int64_t>()};
}

// What `understand` makes of the result.
template <class Understand>
auto parse_result(std::string_view line, Understand understand) -> Result<decltype(understand(Json{}))> {
  try {
    const Json answer = Json::parse(line);
    if (answer.at("ok").get<bool>()) return understand(answer.at("result"));
    const Json& error = answer.at("error");
    return failure(error.at("message").get<std::string>(), error.at("hint").get<std::string>());
  } catch (const Json::exception& error) {
    return failure(std::string{"the daemon's answer is not understood: "} + error.what());
  }
}

}  // namespace

Result<DaemonReport> parse_daemon_report(std::string_view line) {
  return parse_result(line, daemon_of);
}

Result<VersionAnswer> parse_version_answer(std::string_view line) {
  return parse_result(line, version_of);
}

}  // namespace prong::ipc
