#include "ctl/rows.hpp"

#include <fmt/format.h>

#include "base/escape.hpp"
#include "ctl/figures.hpp"

namespace prong::ctl {
namespace {

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
  return fmt::format("{} ago: {}: {}", rough_duration(death, "seconds_ago"), text_of(death, "worker"),
                     text_of(death, "text"));
}

std::string work_of(const Json& thread) {
  const std::string phase = text_of(thread, "phase");
  if (phase == "stream") return "an event of a stream";
  if (phase == "own") return "a timer or a descriptor of the application";
  const std::string work = fmt::format("{} {}", text_of(thread, "method"), text_of(thread, "target"));
  return phase == "body" ? "the body of " + work : work;
}

std::string deadline_of(const Json& thread) {
  if (!member(thread, "deadline_seconds").is_number()) return {};
  const double left = number_of(thread, "deadline_seconds");
  return left < 0 ? fmt::format(", stuck since {}", short_time(-left)) : fmt::format(", stuck in {}", short_time(left));
}

std::string thread_text(const Json& thread) {
  if (!thread.is_object()) return "cannot be read";
  const double lasts = number_of(thread, "seconds");
  if (text_of(thread, "phase") == "idle") return lasts > 0 ? "idle for " + short_time(lasts) : "idle";
  const std::string peer = text_of(thread, "peer");
  return fmt::format("{} for {}{}{}{}", work_of(thread), short_time(lasts), peer.empty() ? "" : ", from ", peer,
                     deadline_of(thread));
}

// "{code="5",command="get"}"; nothing without labels.
std::string labels_of(const Json& metric) {
  const Json& labels = member(metric, "labels");
  std::string text;
  if (!labels.is_object() || labels.empty()) return text;
  for (const auto& [name, value] : labels.items())
    text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name,
                        value.is_string() ? escaped(value.get_ref<const std::string&>()) : std::string{});
  return '{' + text + '}';
}

}  // namespace

std::string daemon_lines(const Json& daemon) {
  std::string text =
      fmt::format("prongd {}, pid {}, {}, generation {}, up {}\n", text_of(daemon, "version"), count_of(daemon, "pid"),
                  text_of(daemon, "state"), count_of(daemon, "generation"), rough_duration(daemon, "uptime_seconds"));
  if (const std::string failed = text_of(daemon, "last_reload_failure"); !failed.empty())
    text += fmt::format("the last reload failed: {}\n", failed);
  return text;
}

const std::vector<Column>& pool_columns() {
  static const std::vector<Column> columns{{.title = "POOL"},
                                           {.title = "APP"},
                                           {.title = "WORKERS"},
                                           {.title = "BUSY", .right = true},
                                           {.title = "CONN", .right = true},
                                           {.title = "REQ/S", .right = true},
                                           {.title = "P50", .right = true},
                                           {.title = "P99", .right = true},
                                           {.title = "QUEUE", .right = true},
                                           {.title = "DELAY", .right = true},
                                           {.title = "MEMORY", .right = true},
                                           {.title = "REQUESTS", .right = true},
                                           {.title = "DEATHS", .right = true},
                                           {.title = "LAST DEATH"}};
  return columns;
}

std::vector<std::string> pool_row(const Json& pool, const Json& daemon, const std::optional<Json>& earlier) {
  const Figures figures = pool_figures(pool, daemon, earlier);
  return {text_of(pool, "name"),
          text_of(pool, "app"),
          workers_of(pool),
          count_of(pool, "inside"),
          count_of(pool, "open_connections"),
          short_rate(figures.requests_per_second),
          short_time(figures.service_median),
          short_time(figures.service_99),
          count_of(pool, "queued"),
          short_time(figures.queue_99),
          short_size(number_of(pool, "resident_bytes")),
          count_of(pool, "requests"),
          count_of(pool, "deaths"),
          last_death_of(pool)};
}

const std::vector<Column>& worker_columns() {
  static const std::vector<Column> columns{{.title = "WORKER"},
                                           {.title = "GEN", .right = true},
                                           {.title = "PID", .right = true},
                                           {.title = "STATE"},
                                           {.title = "AGE", .right = true},
                                           {.title = "BUSY", .right = true},
                                           {.title = "CONN", .right = true},
                                           {.title = "REQUESTS", .right = true},
                                           {.title = "REQ/S", .right = true},
                                           {.title = "P99", .right = true},
                                           {.title = "MEMORY", .right = true},
                                           {.title = "CPU", .right = true},
                                           {.title = "NOTE"}};
  return columns;
}

std::vector<std::string> worker_row(const Json& worker, const Json& daemon, const std::optional<Json>& earlier) {
  const Figures figures = worker_figures(worker, daemon, earlier);
  const bool lives = number_of(worker, "pid") > 0;
  return {fmt::format("{}/{}", text_of(worker, "pool"), count_of(worker, "slot")),
          count_of(worker, "generation"),
          lives ? count_of(worker, "pid") : "-",
          text_of(worker, "state"),
          lives ? rough_duration(worker, "age_seconds") : "-",
          count_of(worker, "inside"),
          count_of(worker, "open_connections"),
          count_of(worker, "requests"),
          short_rate(figures.requests_per_second),
          short_time(figures.service_99),
          short_size(number_of(worker, "resident_bytes")),
          percent(figures.processor_share),
          text_of(worker, "note")};
}

const std::vector<Column>& metric_columns() {
  static const std::vector<Column> columns{{.title = "POOL"},
                                           {.title = "METRIC"},
                                           {.title = "KIND"},
                                           {.title = "VALUE", .right = true},
                                           {.title = "RATE/S", .right = true},
                                           {.title = "P50", .right = true},
                                           {.title = "P99", .right = true},
                                           {.title = "HELP"}};
  return columns;
}

// Of a histogram the value is how many durations there were.
std::vector<std::string> metric_row(const Json& metric, const Json& pool, const Json& daemon,
                                    const std::optional<Json>& earlier) {
  const MetricFigures figures = metric_figures(metric, pool, daemon, earlier);
  const std::string kind = text_of(metric, "kind");
  const bool is_histogram = kind == "histogram";
  const auto time = [&](std::optional<double> seconds) { return is_histogram ? short_time(seconds) : std::string{}; };
  return {text_of(pool, "name"),
          text_of(metric, "name") + labels_of(metric),
          kind,
          count_of(metric, is_histogram ? "count" : "value"),
          kind == "gauge" ? std::string{} : short_rate(figures.per_second),
          time(figures.median),
          time(figures.percentile_99),
          text_of(metric, "help")};
}

std::vector<std::string> thread_lines(const Json& worker, Threads which) {
  std::vector<std::string> lines;
  const std::vector<const Json*> threads = entries(worker, "threads");
  for (std::size_t i = 0; i < threads.size(); ++i) {
    if (which == Threads::kBusy && text_of(*threads[i], "phase") == "idle") continue;
    const std::string text = thread_text(*threads[i]);
    lines.push_back(threads.size() > 1 ? fmt::format("thread {}: {}", i + 1, text) : text);
  }
  return lines;
}

}  // namespace prong::ctl
