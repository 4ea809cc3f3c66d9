// A change of the configuration as a transaction: everything that can fail happens before the commit, and a failure at
// any step leaves what ran before as it was. The boot is the same transaction with nothing before it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/message_code.hpp"
#include "log/log.hpp"
#include "master/access_logs.hpp"
#include "master/config_plan.hpp"
#include "master/supervisor.hpp"
#include "net/listener_set.hpp"
#include "os/clock.hpp"

namespace prong::master {

// A whole line for the log.
struct PrepareError {
  MessageCode code{};
  std::string text;
};

// The first half: reads, checks, opens the log and the access logs that are new, binds what is new. Returns the reasons
// if something failed, with nothing changed.
struct Prepared {
  ConfigPlan plan;
  std::shared_ptr<log::Output> log;
  std::vector<PrepareError> errors;
};
// `current`: the configuration that serves, with its log; nothing at boot.
struct Current {
  std::shared_ptr<const config::Config> config;
  std::shared_ptr<log::Output> log;
};
[[nodiscard]] Prepared prepare(Planned planned, const Current& current, net::ListenerSet& listeners,
                               AccessLogs& access_logs);

// The canonical addresses of a plan's listeners.
[[nodiscard]] std::set<std::string> addresses_of(const ConfigPlan& plan);
[[nodiscard]] std::set<std::string> addresses_of(const Generation& generation);

// Brings listeners that both generations have to the options of the new one. What fails is a warning: the old options
// go on.
void update_listeners(const ConfigPlan& plan, net::ListenerSet& listeners);

[[nodiscard]] log::Level to_log_level(config::LogLevel level);
// The log as [log] wants it; "auto" is the journal when systemd connected standard error to it.
[[nodiscard]] log::Settings log_settings(const config::LogConfig& config);

}  // namespace prong::master
