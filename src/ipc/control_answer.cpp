#include <nlohmann/json.hpp>

#include <utility>

#include "ipc/control.hpp"

namespace prong::ipc {
namespace {

using Json = nlohmann::ordered_json;  // the fields stand in the order of docs/control.md

double seconds(std::chrono::milliseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

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

Json to_json(const WorkerReport& worker) {
  return {{"pool", worker.pool},
          {"slot", worker.slot},
          {"generation", worker.generation},
          {"pid", worker.pid},
          {"state", worker.state},
          {"age_seconds", seconds(worker.age)},
          {"connections", worker.connections},
          {"open_connections", worker.open_connections},
          {"requests", worker.requests},
          {"note", worker.note}};
}

Json to_json(const PoolReport& pool) {
  return {{"name", pool.name},
          {"app", pool.app},
          {"listeners", pool.listeners},
          {"workers",
           {{"wanted", pool.wanted},
            {"ready", pool.ready},
            {"starting", pool.starting},
            {"busy", pool.busy},
            {"leaving", pool.leaving}}},
          {"connections", pool.connections},
          {"open_connections", pool.open_connections},
          {"requests", pool.requests},
          {"deaths", pool.deaths},
          {"last_death", pool.last_death ? to_json(*pool.last_death) : Json{}}};
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
              {"uptime_seconds", seconds(daemon.uptime)},
              {"last_reload_failure", daemon.last_reload_failure},
              {"pools", to_list(daemon.pools)}};
  if (daemon.workers) object["workers"] = to_list(*daemon.workers);
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

}  // namespace

std::string to_line(const ControlAnswer& answer) {
  const Json object = std::visit([](const auto& of) { return answer_object(of); }, answer);
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace prong::ipc
