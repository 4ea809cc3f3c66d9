#include "ctl/show.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <prong/version.h>

#include <chrono>
#include <vector>

#include "base/units.hpp"
#include "ctl/table.hpp"

namespace prong::ctl {
namespace {

using Json = nlohmann::ordered_json;

// What a daemon says is not trusted to have a shape: these give something for everything.
const Json& member(const Json& object, const char* name) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto found = object.find(name);
  return found == object.end() ? nothing : *found;
}

std::string text_of(const Json& object, const char* name) {
  const auto* const text = member(object, name).get_ptr<const Json::string_t*>();
  return text != nullptr ? *text : std::string{};
}

double number_of(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_number() ? value.get<double>() : 0;
}

bool is_set(const Json& object, const char* name) {
  const auto* const flag = member(object, name).get_ptr<const Json::boolean_t*>();
  return flag != nullptr && *flag;
}

std::string count_of(const Json& object, const char* name) {
  return member(object, name).is_number() ? fmt::format("{:.0f}", number_of(object, name)) : std::string{};
}

std::string duration_of(const Json& object, const char* name) {
  if (!member(object, name).is_number()) return {};
  const auto whole =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(number_of(object, name)));
  return to_rough_text(whole);
}

// What lists hold, and nothing of other things.
std::vector<Json> entries(const Json& object, const char* name) {
  const Json& list = member(object, name);
  return list.is_array() ? std::vector<Json>(list.begin(), list.end()) : std::vector<Json>{};
}

std::string daemon_line(const Json& daemon) {
  std::string text =
      fmt::format("prongd {}, pid {}, {}, generation {}, up {}\n", text_of(daemon, "version"), count_of(daemon, "pid"),
                  text_of(daemon, "state"), count_of(daemon, "generation"), duration_of(daemon, "uptime_seconds"));
  if (const std::string failed = text_of(daemon, "last_reload_failure"); !failed.empty())
    text += fmt::format("the last reload failed: {}\n", failed);
  return text;
}

// "4/4", and what else there is: "3/4 +1 starting".
std::string workers_of(const Json& pool) {
  const Json& workers = member(pool, "workers");
  std::string text = fmt::format("{}/{}", count_of(workers, "ready"), count_of(workers, "wanted"));
  for (const char* state : {"starting", "busy", "leaving"})
    if (number_of(workers, state) > 0) text += fmt::format(" +{} {}", count_of(workers, state), state);
  if (is_set(pool, "paused")) text += " paused";
  return text;
}

std::string last_death_of(const Json& pool) {
  const Json& death = member(pool, "last_death");
  if (!death.is_object()) return "-";
  return fmt::format("{} ago: {}: {}", duration_of(death, "seconds_ago"), text_of(death, "worker"),
                     text_of(death, "text"));
}

// Requests per second between two answers; "-" without an earlier one.
std::string rate_of(const Json& pool, const Json& now, const std::optional<Json>& earlier) {
  if (!earlier) return "-";
  const double seconds = number_of(now, "uptime_seconds") - number_of(*earlier, "uptime_seconds");
  for (const Json& before : entries(*earlier, "pools"))
    if (seconds > 0 && text_of(before, "name") == text_of(pool, "name"))
      // Less than before: a worker has gone and its numbers with it.
      return fmt::format("{:.0f}",
                         std::max(0.0, number_of(pool, "requests") - number_of(before, "requests")) / seconds);
  return "-";
}

std::string status_text(const Json& daemon, const std::optional<Json>& earlier) {
  const std::vector<Column> columns{{.title = "POOL"},
                                    {.title = "APP"},
                                    {.title = "WORKERS"},
                                    {.title = "CONNECTIONS", .right = true},
                                    {.title = "REQUESTS", .right = true},
                                    {.title = "REQ/S", .right = true},
                                    {.title = "DEATHS", .right = true},
                                    {.title = "LAST DEATH"}};
  std::vector<std::vector<std::string>> rows;
  for (const Json& pool : entries(daemon, "pools"))
    rows.push_back({text_of(pool, "name"), text_of(pool, "app"), workers_of(pool), count_of(pool, "open_connections"),
                    count_of(pool, "requests"), rate_of(pool, daemon, earlier), count_of(pool, "deaths"),
                    last_death_of(pool)});
  return daemon_line(daemon) + to_table(columns, rows);
}

std::string workers_text(const Json& daemon) {
  const std::vector<Column> columns{{.title = "WORKER"},
                                    {.title = "GEN", .right = true},
                                    {.title = "PID", .right = true},
                                    {.title = "STATE"},
                                    {.title = "AGE", .right = true},
                                    {.title = "CONNECTIONS", .right = true},
                                    {.title = "REQUESTS", .right = true},
                                    {.title = "NOTE"}};
  std::vector<std::vector<std::string>> rows;
  for (const Json& worker : entries(daemon, "workers"))
    rows.push_back({fmt::format("{}/{}", text_of(worker, "pool"), count_of(worker, "slot")),
                    count_of(worker, "generation"), number_of(worker, "pid") > 0 ? count_of(worker, "pid") : "-",
                    text_of(worker, "state"), number_of(worker, "pid") > 0 ? duration_of(worker, "age_seconds") : "-",
                    count_of(worker, "open_connections"), count_of(worker, "requests"), text_of(worker, "note")});
  return daemon_line(daemon) + to_table(columns, rows);
}

std::string reload_text(const Json& report) {
  std::string text;
  for (const Json& change : entries(report, "changes"))
    if (const auto* line = change.get_ptr<const Json::string_t*>()) text += fmt::format("changed: {}\n", *line);
  if (is_set(report, "plan"))
    return text + (text.empty() ? "nothing would change\n" : "nothing was done; this is what a reload would change\n");
  return text + fmt::format("reloaded: generation {} serves\n", count_of(report, "generation"));
}

std::string config_text(const Json& report) {
  std::vector<std::vector<std::string>> rows;
  for (const Json& value : entries(report, "values"))
    rows.push_back({text_of(value, "name"), text_of(value, "value"), text_of(value, "origin")});
  return to_table({{.title = "KEY"}, {.title = "VALUE"}, {.title = "FROM"}}, rows);
}

}  // namespace

std::string to_text(ipc::ControlVerb verb, const Json& result, const std::optional<Json>& earlier) {
  switch (verb) {
    case ipc::ControlVerb::kVersion:
      return fmt::format("prongctl {}\nprongd {} (pid {})\n", PRONG_VERSION, text_of(result, "version"),
                         count_of(result, "pid"));
    case ipc::ControlVerb::kStatus:
      return status_text(result, earlier);
    case ipc::ControlVerb::kWorkers:
      return workers_text(result);
    case ipc::ControlVerb::kReload:
      return reload_text(result);
    case ipc::ControlVerb::kConfig:
      return config_text(result);
    case ipc::ControlVerb::kStop:
    case ipc::ControlVerb::kScale:
    case ipc::ControlVerb::kRecycle:
    case ipc::ControlVerb::kPause:
    case ipc::ControlVerb::kResume:
    case ipc::ControlVerb::kLogLevel:
    case ipc::ControlVerb::kReopenLogs:
      return text_of(result, "text") + '\n';
  }
  return {};
}

std::string failure_text(const Json& error) {
  std::string text;
  for (const Json& detail : entries(error, "details"))
    if (const auto* line = detail.get_ptr<const Json::string_t*>()) text += *line + '\n';
  const std::string hint = text_of(error, "hint");
  return text + fmt::format("prongctl: {}{}{}\n", text_of(error, "message"), hint.empty() ? "" : "; ", hint);
}

}  // namespace prong::ctl
