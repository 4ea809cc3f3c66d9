#include "master/reload.hpp"

#include <fmt/format.h>

#include <set>
#include <utility>

#include "log/log.hpp"
#include "os/systemd.hpp"

namespace prong::master {
namespace {

log::Color to_color(config::LogColor color) {
  switch (color) {
    case config::LogColor::kAuto:
      return log::Color::kAuto;
    case config::LogColor::kAlways:
      return log::Color::kAlways;
    case config::LogColor::kNever:
      return log::Color::kNever;
  }
  return log::Color::kAuto;
}

bool same_log(const config::LogConfig& a, const config::LogConfig& b) {
  return a.target == b.target && a.level == b.level && a.color == b.color;
}

Result<std::shared_ptr<log::Output>> prepare_log(const config::Config& config, const Current& current) {
  if (current.config && same_log(current.config->log, config.log)) return current.log;
  return log::prepare(log_settings(config.log));
}

// Opens the access logs that are not open yet; every failure is told, not only the first.
std::vector<PrepareError> open_all(const config::Config& config, AccessLogs& access_logs) {
  std::vector<PrepareError> errors;
  std::set<std::string> failed;  // two pools may write to one file
  for (const config::PoolConfig& pool : config.pools) {
    if (!pool.access_log || failed.contains(pool.access_log->path)) continue;
    auto added = access_logs.ensure(pool.access_log->path);
    if (added) continue;
    failed.insert(pool.access_log->path);
    const config::Position* position = config.position_of(fmt::format("pool.{}.access_log.path", pool.name));
    const config::Diagnostic diagnostic{position != nullptr ? *position : config::Position{}, added.error().message,
                                        added.error().hint};
    errors.push_back({.code = MessageCode::kCannotOpenLog, .text = config::to_text(diagnostic)});
  }
  return errors;
}

// Binds what is not bound yet; every failure is told, not only the first.
std::vector<PrepareError> bind_all(const ConfigPlan& plan, net::ListenerSet& listeners) {
  std::vector<PrepareError> errors;
  for (std::size_t i = 0; i < plan.listeners.size(); ++i) {
    for (std::size_t j = 0; j < plan.listeners[i].size(); ++j) {
      const PlannedListener& wanted = plan.listeners[i][j];
      auto added = listeners.ensure(wanted.address, wanted.options);
      if (!added) {
        const config::Diagnostic diagnostic{plan.config->pools[i].listen[j].position, added.error().message,
                                            added.error().hint};
        errors.push_back({.code = MessageCode::kCannotListen, .text = config::to_text(diagnostic)});
        continue;
      }
      if (!*added) continue;
      log::info("listening on {} for pool {}", listeners.find(wanted.address.text)->bound_text(),
                plan.config->pools[i].name);
      if (auto warning = net::backlog_warning(wanted.options))
        log::warn(MessageCode::kBacklogCut, "listener {}: {}", wanted.address.text, *warning);
    }
  }
  return errors;
}

}  // namespace

log::Level to_log_level(config::LogLevel level) {
  switch (level) {
    case config::LogLevel::kDebug:
      return log::Level::kDebug;
    case config::LogLevel::kInfo:
      return log::Level::kInfo;
    case config::LogLevel::kWarn:
      return log::Level::kWarn;
    case config::LogLevel::kError:
      return log::Level::kError;
  }
  return log::Level::kInfo;
}

log::Settings log_settings(const config::LogConfig& config) {
  log::Settings settings{
      .target = log::Target::kStderr, .path = {}, .level = to_log_level(config.level), .color = to_color(config.color)};
  if (config.target == "journal" || (config.target == "auto" && os::stderr_is_journal())) {
    settings.target = log::Target::kJournal;
  } else if (config.target != "auto" && config.target != "stderr") {
    settings.target = log::Target::kFile;
    settings.path = config.target;
  }
  return settings;
}

std::set<std::string> addresses_of(const ConfigPlan& plan) {
  std::set<std::string> addresses;
  for (const auto& pool : plan.listeners)
    for (const PlannedListener& listener : pool) addresses.insert(listener.address.text);
  return addresses;
}

std::set<std::string> addresses_of(const Generation& generation) {
  std::set<std::string> addresses;
  for (const Pool& pool : generation.pools) addresses.insert(pool.listeners.begin(), pool.listeners.end());
  return addresses;
}

Prepared prepare(Planned planned, const Current& current, net::ListenerSet& listeners, AccessLogs& access_logs) {
  Prepared prepared{.plan = std::move(planned.plan), .log = {}, .errors = {}};
  for (const config::Diagnostic& diagnostic : planned.diagnostics)
    prepared.errors.push_back({.code = MessageCode::kConfigurationWrong, .text = config::to_text(diagnostic)});
  if (!prepared.errors.empty()) return prepared;
  auto log = prepare_log(*prepared.plan.config, current);
  if (!log) {
    prepared.errors.push_back({.code = MessageCode::kCannotOpenLog, .text = log.error().text()});
    return prepared;
  }
  prepared.log = std::move(*log);
  const std::set<std::string> files_before = access_logs.paths();
  const std::set<std::string> before = listeners.addresses();
  prepared.errors = open_all(*prepared.plan.config, access_logs);
  for (PrepareError& error : bind_all(prepared.plan, listeners)) prepared.errors.push_back(std::move(error));
  if (prepared.errors.empty()) return prepared;
  (void)listeners.retain_only(before);
  access_logs.retain_only(files_before);
  return prepared;
}

void update_listeners(const ConfigPlan& plan, net::ListenerSet& listeners) {
  for (const auto& pool : plan.listeners) {
    for (const PlannedListener& wanted : pool) {
      net::Listener* listener = listeners.find(wanted.address.text);
      if (listener == nullptr) continue;
      if (auto updated = listener->update(wanted.options); !updated)
        log::warn(MessageCode::kListenerOptionsKept, "listener {}: {}; its old options go on", wanted.address.text,
                  updated.error().text());
    }
  }
}

}  // namespace prong::master
