#include "ctl/show.hpp"

#include <fmt/format.h>
#include <prong/version.h>

#include <string>
#include <vector>

#include "ctl/json_view.hpp"
#include "ctl/rows.hpp"
#include "ctl/table.hpp"

namespace prong::ctl {
namespace {

std::string status_text(const Json& daemon, const std::optional<Json>& earlier) {
  std::vector<std::vector<std::string>> rows;
  for (const Json* pool : entries(daemon, "pools")) rows.push_back(pool_row(*pool, daemon, earlier));
  return daemon_lines(daemon) + to_table(pool_columns(), rows);
}

std::string workers_text(const Json& daemon, const std::optional<Json>& earlier) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> below;
  for (const Json* worker : entries(daemon, "workers")) {
    rows.push_back(worker_row(*worker, daemon, earlier));
    std::string& lines = below.emplace_back();
    for (const std::string& line : thread_lines(*worker, Threads::kBusy)) lines += fmt::format("  {}\n", line);
  }
  return daemon_lines(daemon) + to_table(worker_columns(), rows, below);
}

std::string reload_text(const Json& report) {
  std::string text;
  for (const Json* change : entries(report, "changes"))
    if (const auto* line = change->get_ptr<const Json::string_t*>()) text += fmt::format("changed: {}\n", *line);
  if (is_set(report, "plan"))
    return text + (text.empty() ? "nothing would change\n" : "nothing was done; this is what a reload would change\n");
  return text + fmt::format("reloaded: generation {} serves\n", count_of(report, "generation"));
}

std::string config_text(const Json& report) {
  std::vector<std::vector<std::string>> rows;
  for (const Json* value : entries(report, "values"))
    rows.push_back({text_of(*value, "name"), text_of(*value, "value"), text_of(*value, "origin")});
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
      return workers_text(result, earlier);
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

std::string metrics_text(const Json& result, const std::optional<Json>& earlier) {
  std::vector<std::vector<std::string>> rows;
  std::string left_out;
  for (const Json* pool : entries(result, "pools")) {
    for (const Json* metric : entries(*pool, "metrics")) rows.push_back(metric_row(*metric, *pool, result, earlier));
    if (is_set(*pool, "metrics_left_out"))
      left_out += fmt::format("pool {} has more metrics than a pool may have; each set of labels is one\n",
                              text_of(*pool, "name"));
  }
  return daemon_lines(result) + left_out +
         (rows.empty() ? "no module has metrics of its own\n" : to_table(metric_columns(), rows));
}

std::string failure_text(const Json& error) {
  std::string text;
  for (const Json* detail : entries(error, "details"))
    if (const auto* line = detail->get_ptr<const Json::string_t*>()) text += *line + '\n';
  const std::string hint = text_of(error, "hint");
  return text + fmt::format("prongctl: {}{}{}\n", text_of(error, "message"), hint.empty() ? "" : "; ", hint);
}

}  // namespace prong::ctl
