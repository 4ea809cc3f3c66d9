#include <nlohmann/json.hpp>

#include <string>
#include <utility>

#include "ipc/control.hpp"

namespace prong::ipc {
namespace {

using Json = nlohmann::ordered_json;  // the fields stand in the order of docs/control.md

double seconds(std::chrono::duration<double> duration) {
  return duration.count();
}

// Adds the fields of `more`, behind those that are there.
void append(Json& object, const Json& more) {
  for (const auto& [name, value] : more.items()) object[name] = value;
}

// [[upper bound in seconds, how many], ...], of buckets that are not empty: a few of the 132 as a rule.
Json to_json(const Histogram& histogram) {
  Json buckets = Json::array();
  for (std::size_t i = 0; i < kBuckets; ++i)
    if (const std::uint64_t count = histogram.count(i); count > 0)
      buckets.push_back(Json::array({seconds(std::chrono::microseconds(bucket_begin(i + 1))), count}));
  return {{"count", histogram.count()}, {"sum_seconds", seconds(histogram.sum())}, {"buckets", std::move(buckets)}};
}

// By class, and those that are counted for themselves.
Json statuses_of(const WorkerCounts& counts) {
  Json statuses = Json::object();
  for (std::size_t i = 0; i < kStatusClasses; ++i) statuses[std::to_string(i + 1) + "xx"] = counts.classes.at(i);
  for (std::size_t i = 0; i < kCountedStatuses.size(); ++i)
    statuses[std::to_string(kCountedStatuses.at(i))] = counts.statuses.at(i);
  return statuses;
}

Json to_json(const WorkerTotals& served) {
  const WorkerCounts& counts = served.counts;
  return {{"connections", counts.connections},
          {"open_connections", counts.open_connections},
          {"requests", counts.requests},
          {"inside", counts.inside()},
          {"cut", counts.cut},
          {"refused", counts.refused},
          {"received_bytes", counts.received_bytes},
          {"sent_bytes", counts.sent_bytes},
          {"statuses", statuses_of(counts)},
          {"service_time", to_json(served.service_time)},
          {"queue_delay", to_json(served.queue_delay)}};
}

Json to_json(const ProcessReport& process) {
  return {{"resident_bytes", process.resident_bytes}, {"cpu_seconds", seconds(process.cpu_time)}};
}

Json to_json(const std::optional<ThreadReport>& thread) {
  if (!thread) return {};
  return {{"phase", kThreadPhaseText.text(thread->phase)},
          {"seconds", seconds(thread->lasts)},
          {"deadline_seconds", thread->deadline ? Json(seconds(*thread->deadline)) : Json{}},
          {"method", thread->method},
          {"target", thread->target},
          {"peer", thread->peer}};
}

template <class Report>
Json to_list(const std::vector<Report>& reports);

Json to_json(const ControlDone& done) {
  return {{"text", done.text}};
}

Json to_json(const VersionAnswer& answer) {
  return {{"version", answer.version}, {"pid", answer.pid}};
}

Json to_json(const DeathReport& death) {
  return {{"worker", death.worker},
          {"text", death.text},
          {"expected", death.expected},
          {"seconds_ago", seconds(death.ago)}};
}

Json to_json(const EventReport& event) {
  return {{"kind", kEventKindText.text(event.kind)},
          {"subject", event.subject},
          {"text", event.text},
          {"expected", event.expected},
          {"seconds_ago", seconds(event.ago)}};
}

Json to_json(const WorkerReport& worker) {
  Json object{{"pool", worker.pool}, {"slot", worker.slot},   {"generation", worker.generation},
              {"pid", worker.pid},   {"state", worker.state}, {"age_seconds", seconds(worker.age)},
              {"note", worker.note}};
  append(object, to_json(worker.served));
  append(object, to_json(worker.process));
  object["threads"] = to_list(worker.threads);
  return object;
}

Json to_json(const OwnMetric& metric) {
  Json object{{"name", metric.name},
              {"kind", kMetricKindText.text(metric.kind())},
              {"labels", metric.labels.empty() ? Json::object() : Json(metric.labels)},
              {"help", metric.help}};
  if (const auto* histogram = std::get_if<Histogram>(&metric.value))
    append(object, to_json(*histogram));
  else if (const auto* level = std::get_if<std::int64_t>(&metric.value))
    object["value"] = *level;
  else
    object["value"] = std::get<std::uint64_t>(metric.value);
  return object;
}

Json to_json(const PoolReport& pool) {
  Json object{{"name", pool.name},
              {"app", pool.app},
              {"listeners", pool.listeners},
              {"workers",
               {{"wanted", pool.wanted},
                {"ready", pool.ready},
                {"starting", pool.starting},
                {"busy", pool.busy},
                {"leaving", pool.leaving}}},
              {"paused", pool.paused},
              {"queued", pool.queued},
              {"lost", pool.lost},
              {"deaths", pool.deaths},
              {"deaths_by_cause", pool.deaths_by_cause},
              {"last_death", pool.last_death ? to_json(*pool.last_death) : Json{}}};
  append(object, to_json(pool.served));
  append(object, to_json(pool.process));
  object["metrics"] = to_list(pool.metrics);
  object["metrics_left_out"] = pool.metrics_left_out;
  return object;
}

Json to_json(const ConfigValueReport& value) {
  return {{"name", value.name}, {"value", value.value}, {"origin", value.origin.empty() ? "default" : value.origin}};
}

template <class Report>
Json to_list(const std::vector<Report>& reports) {
  Json list = Json::array();
  for (const Report& report : reports) list.push_back(to_json(report));
  return list;
}

Json to_json(const DaemonReport& daemon) {
  Json object{{"version", daemon.version},
              {"pid", daemon.pid},
              {"state", daemon.state},
              {"generation", daemon.generation},
              {"time", seconds(daemon.time)},
              {"started", seconds(daemon.started)},
              {"uptime_seconds", seconds(daemon.uptime)},
              {"reloads", {{"done", daemon.reloads_done}, {"failed", daemon.reloads_failed}}},
              {"last_reload_failure", daemon.last_reload_failure}};
  append(object, to_json(daemon.process));
  object["pools"] = to_list(daemon.pools);
  if (!daemon.workers) return object;
  object["workers"] = to_list(*daemon.workers);
  object["events"] = to_list(daemon.events);
  return object;
}

Json to_json(const ReloadReport& report) {
  return {{"plan", report.plan}, {"generation", report.generation}, {"changes", report.changes}};
}

Json to_json(const ConfigReport& report) {
  return {{"files", report.files}, {"values", to_list(report.values)}};
}

Json answer_object(const ControlFailure& failed) {
  return {{"version", kControlVersion},
          {"ok", false},
          {"error", {{"message", failed.error.message}, {"hint", failed.error.hint}, {"details", failed.details}}}};
}

template <class Answer>
Json answer_object(const Answer& answer) {
  return {{"version", kControlVersion}, {"ok", true}, {"result", to_json(answer)}};
}

std::string text_of(const Json& object) {
  return object.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string to_line(const ControlAnswer& answer) {
  const Json object = std::visit([](const auto& of) { return answer_object(of); }, answer);
  return text_of(object) + '\n';
}

std::string to_json_text(const DaemonReport& report) {
  return text_of(to_json(report));
}

}  // namespace prong::ipc
