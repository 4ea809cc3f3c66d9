// What each verb of the control socket does. They record wishes, as signals do, and reconcile() acts; only a reload is
// answered later, when the transaction has its verdict.
#include <fmt/format.h>
#include <prong/version.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/escape.hpp"
#include "base/suggest.hpp"
#include "config/diff.hpp"
#include "log/log.hpp"
#include "master/control_report.hpp"
#include "master/master.hpp"
#include "master/pool_policy.hpp"

namespace prong::master {
namespace {

// In one turn of the loop: workers have their turn before further clients have.
constexpr int kMostRequests = 8;
constexpr std::size_t kMostShown = 64;  // of a name that a client wrote

std::chrono::milliseconds since_1970(std::chrono::system_clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch());
}

ipc::ControlFailure failed(Error error) {
  return {.error = std::move(error), .details = {}};
}

}  // namespace

void Master::answer_control_clients() {
  for (int i = 0; i < kMostRequests; ++i) {
    const auto from = control_.take_request();
    if (!from) return;
    const auto request = ipc::parse_control_request(from->line);
    const auto answer = request ? try_to_carry_out(*from, *request) : ipc::ControlAnswer{failed(request.error())};
    if (answer) control_.answer(from->client, ipc::to_line(*answer), now_);
    // It waits for the end of its connection, which is that of the daemon.
    if (request && request->verb == ipc::ControlVerb::kStop) control_.hold(from->client);
  }
}

std::optional<ipc::ControlAnswer> Master::try_to_carry_out(const ControlServer::Request& from,
                                                           const ipc::ControlRequest& request) {
  if (from.may == ControlServer::May::kLook && !ipc::only_looks(request.verb))
    return failed({.message = fmt::format("this connection is there to look, and not for the verb \"{}\"",
                                          ipc::kControlVerbText.text(request.verb))});
  return carry_out(from, request);
}

std::optional<ipc::ControlAnswer> Master::carry_out(const ControlServer::Request& from,
                                                    const ipc::ControlRequest& request) {
  switch (request.verb) {
    case ipc::ControlVerb::kVersion:
      return ipc::VersionAnswer{.version = PRONG_VERSION, .pid = ::getpid()};
    case ipc::ControlVerb::kStatus:
    case ipc::ControlVerb::kWorkers:
      return report(request);
    case ipc::ControlVerb::kReload:
      return request.plan ? std::optional{plan_reload(request.pool)} : reload_for(from, request.pool);
    case ipc::ControlVerb::kStop:
      return stop_for(from, request.fast);
    case ipc::ControlVerb::kScale:
      return scale_for(from, request);
    case ipc::ControlVerb::kRecycle:
      return recycle_for(from, request);
    case ipc::ControlVerb::kPause:
    case ipc::ControlVerb::kResume:
      return pause_for(from, request);
    case ipc::ControlVerb::kLogLevel:
      return change_log_level_for(from, request.level);
    case ipc::ControlVerb::kReopenLogs:
      log::info("reopening the log files, asked by {}", from.by);
      reopen_logs();
      return ipc::ControlDone{.text = "the log files are opened anew"};
    case ipc::ControlVerb::kConfig:
      if (auto serves = check_serves(); !serves) return failed(std::move(serves.error()));
      return report_config(*serving_->config);
  }
  return std::nullopt;
}

ipc::ControlAnswer Master::report(const ipc::ControlRequest& request) const {
  ipc::DaemonReport daemon{.version = PRONG_VERSION,
                           .pid = ::getpid(),
                           .state = "serving",
                           .generation = serving_ != nullptr ? serving_->number : 0,
                           .uptime = std::chrono::duration_cast<std::chrono::milliseconds>(now_ - started_),
                           .time = since_1970(std::chrono::system_clock::now()),
                           .started = since_1970(started_at_),
                           .reloads_done = supervisor_.events().reloads_done(),
                           .reloads_failed = supervisor_.events().reloads_failed(),
                           .last_reload_failure = last_reload_,
                           .process = report_process(),
                           .pools = report_pools(supervisor_, listeners_, request.pool, now_)};
  if (stop_ != StopKind::kNone)
    daemon.state = "stopping";
  else if (serving_ == nullptr)
    daemon.state = "starting";
  else if (raising_ != nullptr)
    daemon.state = "reloading";
  if (!request.pool.empty() && daemon.pools.empty()) return failed(no_such_pool(request.pool));
  if (request.verb != ipc::ControlVerb::kWorkers) return daemon;
  daemon.workers = report_workers(supervisor_, request.pool, now_);
  daemon.events = report_events(supervisor_.events(), now_);
  return daemon;
}

Error Master::no_such_pool(const std::string& name) const {
  std::vector<std::string_view> names;
  for (const auto& generation : supervisor_.generations())
    for (const Pool& pool : generation->pools) names.push_back(pool.config->name);
  const std::string_view meant = nearest(name, names);
  return {.message = fmt::format("there is no pool \"{}\"", escaped(name, kMostShown)),
          .hint = meant.empty() ? "`prongctl status` lists the pools" : fmt::format("did you mean \"{}\"?", meant)};
}

Result<void> Master::check_serves() const {
  if (stop_ != StopKind::kNone) return failure("the daemon is stopping");
  if (serving_ == nullptr) return failure("the daemon is still starting", "`prongctl status` shows what it waits for");
  return {};
}

// Whether everything, or this pool, can be reloaded at all.
Result<void> Master::check_reloads(const std::string& pool) const {
  if (auto serves = check_serves(); !serves) {
    serves.error().message += "; nothing was reloaded";
    return serves;
  }
  const auto is_it = [&pool](const config::PoolConfig& one) { return one.name == pool; };
  if (pool.empty() || std::ranges::any_of(serving_->config->pools, is_it)) return {};
  Error error = no_such_pool(pool);
  error.hint += "; a pool that is new in the configuration comes with a reload of everything";
  return failure(std::move(error));
}

std::optional<ipc::ControlAnswer> Master::reload_for(const ControlServer::Request& from, const std::string& pool) {
  if (auto can = check_reloads(pool); !can) return failed(std::move(can.error()));
  if (raising_ != nullptr || reload_wanted_)
    return failed(
        {.message = fmt::format("another reload is under way, asked by {}; this one was not begun", reload_by_),
         .hint = "ask again when it has its verdict; `prongctl status` shows it"});
  ask_for_reload(from.by, pool);
  verdict_wanted_.push_back(from.client);
  control_.hold(from.client);
  return std::nullopt;
}

// Reads files, as a reload does, and changes nothing.
ipc::ControlAnswer Master::plan_reload(const std::string& pool) const {
  if (auto can = check_reloads(pool); !can) return failed(std::move(can.error()));
  const Planned planned = plan_next(pool);
  if (planned.diagnostics.empty())
    return ipc::ReloadReport{
        .plan = true, .generation = serving_->number, .changes = config::diff(*serving_->config, *planned.plan.config)};
  ipc::ControlFailure failure{.error = {.message = "the configuration has errors; a reload would change nothing"},
                              .details = {}};
  for (const config::Diagnostic& diagnostic : planned.diagnostics)
    failure.details.push_back(config::to_text(diagnostic));
  return failure;
}

void Master::tell_verdict(const ipc::ControlAnswer& verdict) {
  if (verdict_wanted_.empty()) return;
  const std::string line = ipc::to_line(verdict);
  for (const ControlServer::ClientId client : std::exchange(verdict_wanted_, {})) control_.answer(client, line, now_);
}

ipc::ControlAnswer Master::stop_for(const ControlServer::Request& from, bool fast) {
  // A signal asks twice for a fast stop; a verb says what it wants.
  if (stop_ == StopKind::kNone || (fast && stop_ != StopKind::kFast)) {
    log::info("{} stop asked by {}", fast ? "fast" : "graceful", from.by);
    begin_stop(fast ? StopKind::kFast : StopKind::kGraceful);
  }
  return ipc::ControlDone{.text = stop_ == StopKind::kFast ? "stopping fast"
                                                           : "stopping: the workers finish what they have"};
}

Result<Pool*> Master::find_pool(const std::string& name) const {
  if (auto serves = check_serves(); !serves) return failure(std::move(serves.error()));
  if (raising_ != nullptr || reload_wanted_)
    return failure("a reload is under way", "ask again when it has its verdict; `prongctl status` shows it");
  for (Pool& pool : serving_->pools) {
    if (pool.config->name != name) continue;
    if (serves_by_spares(pool))
      return failure(fmt::format("the workers of pool {} come and go with connections", name),
                     "`spare` and `max_connections` in its configuration say how many there are");
    return &pool;
  }
  return failure(no_such_pool(name));
}

ipc::ControlAnswer Master::scale_for(const ControlServer::Request& from, const ipc::ControlRequest& request) {
  const auto pool = find_pool(request.pool);
  if (!pool) return failed(pool.error());
  if (request.count < 1 || request.count > kMostWorkers)
    return failed({.message = fmt::format("a pool has 1 to {} workers, and not {}", kMostWorkers, request.count)});
  log::info("pool {}: {} workers asked by {}", request.pool, request.count, from.by);
  supervisor_.scale(*serving_, **pool, request.count);
  return ipc::ControlDone{
      .text = fmt::format("pool {}: {} workers wanted now, until the next reload", request.pool, request.count)};
}

ipc::ControlAnswer Master::recycle_for(const ControlServer::Request& from, const ipc::ControlRequest& request) {
  const auto pool = find_pool(request.pool);
  if (!pool) return failed(pool.error());
  log::info("pool {}: {} to be replaced, asked by {}", request.pool,
            request.worker ? fmt::format("worker[{}]", *request.worker) : "all workers", from.by);
  const std::size_t count = supervisor_.recycle(**pool, request.worker, "asked by " + from.by);
  if (count == 0)
    return failed({.message = request.worker
                                  ? fmt::format("pool {} has no worker[{}] that serves", request.pool, *request.worker)
                                  : fmt::format("pool {} has no worker that serves", request.pool),
                   .hint = "`prongctl workers` shows them"});
  return ipc::ControlDone{.text = fmt::format("pool {}: {} replaced, each by one that is ready first", request.pool,
                                              count == 1 ? "1 worker is" : fmt::format("{} workers are", count))};
}

ipc::ControlAnswer Master::pause_for(const ControlServer::Request& from, const ipc::ControlRequest& request) {
  const std::string& name = request.pool;
  if (auto serves = check_serves(); !serves) return failed(std::move(serves.error()));
  const auto pool = std::ranges::find(serving_->pools, name, [](const Pool& one) { return one.config->name; });
  if (pool == serving_->pools.end()) return failed(no_such_pool(name));
  if (exec_of(*pool) != nullptr)
    return failed({.message = fmt::format("pool {} runs programs of yours, which cannot be paused", name),
                   .hint = "a firewall rule can keep connections away from its listeners"});
  const bool pauses = request.verb == ipc::ControlVerb::kPause;
  if (!(pauses ? supervisor_.pause(name) : supervisor_.resume(name)))
    return ipc::ControlDone{.text = fmt::format("pool {} is {} already", name, pauses ? "paused" : "not paused")};
  log::info("pool {}: {}, asked by {}", name, pauses ? "paused" : "resumed", from.by);
  return ipc::ControlDone{
      .text = pauses ? fmt::format("pool {}: paused, new connections wait until `prongctl resume {}`", name, name)
                     : fmt::format("pool {}: accepts connections again", name)};
}

ipc::ControlAnswer Master::change_log_level_for(const ControlServer::Request& from, const std::string& wanted) {
  const auto level = config::kLogLevelText.value(wanted);
  if (!level)
    return failed({.message = fmt::format("there is no log level \"{}\"", escaped(wanted, kMostShown)),
                   .hint = "write debug, info, warn or error"});
  log::info("log level {} asked by {}", wanted, from.by);
  log::set_level(to_log_level(*level));
  supervisor_.announce_log_level(to_log_level(*level));
  return ipc::ControlDone{.text = fmt::format("log level {}, until a reload changes [log]", wanted)};
}

}  // namespace prong::master
