#include "master/master.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "base/join.hpp"
#include "config/diff.hpp"
#include "log/log.hpp"
#include "os/process.hpp"

namespace prong::master {
namespace {

constexpr std::uint64_t kSignalKey = 0;

sigset_t master_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const SignalEntry& entry : kSignalTable) sigaddset(&set, entry.number);
  return set;
}

const SignalEntry* find_entry(int number) {
  const auto* const entry = std::ranges::find(kSignalTable, number, &SignalEntry::number);
  return entry == kSignalTable.end() ? nullptr : entry;
}

std::string sender_of(const os::ReceivedSignal& received) {
  if (!received.from_process) return fmt::format("{} from the kernel", os::signal_name(received.number));
  // Pid 0: the sender lives in another pid namespace (a container's host, say).
  return fmt::format("{} from pid {} uid {}", os::signal_name(received.number), received.sender_pid,
                     received.sender_uid);
}

// The master holds descriptors for every worker, and a pool may have thousands of programs. The limit as it was.
std::size_t raise_own_limit() {
  const std::size_t limit = os::descriptor_limit();
  (void)os::raise_descriptor_limit();  // else the limit is met later, by a fork that is then told
  return limit;
}

}  // namespace

Result<std::unique_ptr<Master>> Master::create(ConfigSource source, WorkerMain worker_main,
                                               os::SystemdHandover handover, os::UniqueFd launcher_file) {
  os::reset_signal_dispositions();
  // A closed standard error, or a log that has reached its limit (setrlimit(2)), must not end the daemon.
  os::ignore_signal(SIGPIPE);
  os::ignore_signal(SIGXFSZ);
  os::block_all_signals();
  auto epoll = os::Epoll::create();
  if (!epoll) return failure(std::move(epoll.error()));
  auto signals = os::SignalFd::create(master_signals());
  if (!signals) return failure(std::move(signals.error()));
  if (auto added = epoll->add(signals->fd(), EPOLLIN, kSignalKey); !added) return failure(std::move(added.error()));
  return std::unique_ptr<Master>{new Master{std::move(source), worker_main, std::move(handover),
                                            std::move(launcher_file), std::move(*epoll), std::move(*signals)}};
}

Master::Master(ConfigSource source, WorkerMain worker_main, os::SystemdHandover handover, os::UniqueFd launcher_file,
               os::Epoll epoll, os::SignalFd signals)
    : source_(std::move(source)),
      launcher_file_(std::move(launcher_file)),
      epoll_(std::move(epoll)),
      signals_(std::move(signals)),
      listeners_(std::move(handover.sockets)),
      accept_modes_(listeners_),
      manager_(os::Notifier{std::move(handover.notify_socket)}, handover.watchdog),
      supervisor_(epoll_, listeners_, access_logs_, worker_main, raise_own_limit(), launcher_file_.get()),
      control_(epoll_),
      now_(os::now()),
      started_(now_) {}

ExitCode Master::run(Planned planned, std::shared_ptr<log::Output> log) {
  const Current current{.config = planned.plan.config, .log = std::move(log)};
  if (begin(std::move(planned), current, StartPatience::kBoot)) warn_about_unused_sockets();
  while (turn()) {
  }
  listeners_.close_all();
  control_.close();
  for (const auto& [pool, totals] : supervisor_.book().pools()) log::info("pool {}: {}", pool, totals.text());
  log::info("stopped");
  return exit_code_;
}

// The first half of a boot or a reload. False: it failed, was told, and nothing has changed.
bool Master::begin(Planned planned, const Current& current, StartPatience patience) {
  auto no_control = prepare_control(planned);
  Prepared prepared = no_control ? Prepared{.plan = {}, .log = {}, .errors = {std::move(*no_control)}}
                                 : prepare(std::move(planned), current, listeners_, access_logs_);
  if (!prepared.errors.empty()) {
    for (const PrepareError& error : prepared.errors) log::error(error.code, "{}", error.text);
    const std::string reason =
        prepared.errors.size() == 1
            ? prepared.errors.front().text
            : fmt::format("{} errors, the first: {}", prepared.errors.size(), prepared.errors.front().text);
    std::vector<std::string> details;
    details.reserve(prepared.errors.size());
    for (PrepareError& error : prepared.errors) details.push_back(std::move(error.text));
    if (patience == StartPatience::kBoot)
      boot_failed(reason);
    else
      roll_back(reason, std::move(details));
    return false;
  }
  // At boot there is nothing to go back to, and who asks now is told that it starts.
  if (patience == StartPatience::kBoot) control_.commit();
  raising_plan_ = std::move(prepared.plan);
  raising_ = &supervisor_.raise(raising_plan_, std::move(prepared.log), patience);
  accept_modes_.prepare(*raising_, serving_);
  return true;
}

// First, so that nothing else is bound or opened when it fails. A configuration with errors has no control socket.
std::optional<PrepareError> Master::prepare_control(const Planned& planned) {
  if (!planned.diagnostics.empty()) return std::nullopt;
  auto prepared = control_.prepare(planned.plan.config->control);
  if (prepared) return std::nullopt;
  const config::Position* const written = planned.plan.config->position_of("control.socket");
  const config::Diagnostic diagnostic{.position = written != nullptr ? *written : config::Position{},
                                      .message = std::move(prepared.error().message),
                                      .hint = std::move(prepared.error().hint)};
  return PrepareError{.code = MessageCode::kCannotListen, .text = config::to_text(diagnostic)};
}

// One turn of the loop; false when there is nothing left to do.
bool Master::turn() {
  now_ = os::now();
  reconcile();
  update_status();
  manager_.tick(now_, is_busy());
  if (stop_ != StopKind::kNone && supervisor_.is_empty()) return false;
  collect_facts();
  return true;
}

void Master::collect_facts() {
  std::array<epoll_event, 64> buffer{};
  auto events = epoll_.wait(buffer, time_to_next_deadline());
  now_ = os::now();
  if (!events) {
    // Only a bug can cause it (EBADF, EINVAL); going on would be a busy loop.
    log::error(MessageCode::kEventLoopFailed, "{}", events.error().text());
    exit_code_ = ExitCode::kRuntime;
    return begin_stop(StopKind::kFast);
  }
  bool signalled = false;
  for (const epoll_event& event : *events) {
    if (event.data.u64 == kSignalKey)
      signalled = true;
    else if (ControlServer::owns(event.data.u64))
      control_.handle_event(event.data.u64, event.events, now_);
    else
      supervisor_.handle_event(event.data.u64, now_);
  }
  // A worker that saw a change once more before the first one's reload has begun changes nothing.
  if (const auto by = supervisor_.take_reload_wish(); by && !reload_wanted_ && stop_ == StopKind::kNone)
    ask_for_reload(*by);
  if (signalled)
    for (const os::ReceivedSignal& received : signals_.read()) handle_signal(received);
  // SIGCHLD of many children is one signal, so every turn that saw a signal reaps all.
  while (signalled) {
    const auto exit = os::find_ended_child();
    if (!exit) break;
    supervisor_.bury(*exit, now_);
    os::reap(exit->pid);
  }
  supervisor_.handle_ended_channels(now_);
  supervisor_.handle_deadlines(now_);
  control_.handle_deadlines(now_);
  answer_control_clients();
}

void Master::handle_signal(const os::ReceivedSignal& received) {
  const SignalEntry* entry = find_entry(received.number);
  if (entry == nullptr) return;
  const std::string by = sender_of(received);
  switch (entry->reaction) {
    case SignalReaction::kStop:
      return ask_for_stop(by);
    case SignalReaction::kReload:
      if (stop_ != StopKind::kNone) {
        log::warn(MessageCode::kReloadIgnored, "reload asked by {}; ignored: the daemon is stopping", by);
        return;
      }
      return ask_for_reload(by);
    case SignalReaction::kReopenLogs:
      log::info("reopening the log files, asked by {}", by);
      return reopen_logs();
    case SignalReaction::kUpgrade:
      log::warn(MessageCode::kUpgradeUnknown, "upgrade asked by {}; ignored: this version cannot upgrade in place", by);
      return;
    case SignalReaction::kOneMore:
      log::info("one worker more asked by {}", by);
      return adjust(1);
    case SignalReaction::kOneFewer:
      log::info("one worker fewer asked by {}", by);
      return adjust(-1);
    case SignalReaction::kReap:
      return;
  }
}

void Master::ask_for_stop(const std::string& by) {
  switch (stop_) {
    case StopKind::kNone:
      log::info("graceful stop asked by {}", by);
      return begin_stop(StopKind::kGraceful);
    case StopKind::kGraceful:
      log::info("fast stop asked by {}", by);
      return begin_stop(StopKind::kFast);
    case StopKind::kFast:
      return;
  }
}

void Master::ask_for_reload(const std::string& by, const std::string& pool) {
  log::info("reload{} asked by {}{}", pool.empty() ? std::string{} : " of pool " + pool, by,
            raising_ != nullptr ? "; it runs after the one that is under way" : "");
  reload_wanted_ = true;
  reload_pool_ = pool;
  reload_by_ = by;
}

void Master::reopen_logs() {
  if (auto reopened = log::reopen(); !reopened)
    log::error(MessageCode::kLogNotReopened, "{}; the old file goes on", reopened.error().text());
  else
    supervisor_.announce_log(log::file_descriptor());
  for (const Error& error : access_logs_.reopen())
    log::error(MessageCode::kAccessLogNotReopened, "{}; the old file goes on", error.text());
  supervisor_.announce_access_logs();
}

void Master::adjust(std::int32_t by) {
  if (stop_ != StopKind::kNone || serving_ == nullptr) {
    log::warn(MessageCode::kAdjustmentIgnored, "ignored: the daemon is {}",
              stop_ != StopKind::kNone ? "stopping" : "not ready yet");
    return;
  }
  supervisor_.adjust_workers(*serving_, by);
}

void Master::reconcile() {
  // A listener that the last reload dropped can be bound again only when its workers have closed it.
  const bool can_reload = raising_ == nullptr && serving_ != nullptr && stop_ == StopKind::kNone;
  if (reload_wanted_ && can_reload && !supervisor_.is_letting_go()) begin_reload();
  supervisor_.reconcile(now_);
  // The end of a raising changes what should run, so it is compared once more before the loop waits.
  if (raising_ != nullptr && finish_raising()) supervisor_.reconcile(now_);
  admit_status_workers();
}

void Master::admit_status_workers() {
  for (Supervisor::Asker& asker : supervisor_.take_askers())
    control_.admit_worker(std::move(asker.fd), std::move(asker.name), now_);
}

void Master::begin_reload() {
  reload_wanted_ = false;
  manager_.reloading(now_);
  const Current current{.config = serving_->config, .log = serving_->log};
  // A failure has been told.
  (void)begin(plan_next(std::exchange(reload_pool_, {})), current, StartPatience::kReload);
}

// What a reload of everything, or of this pool, would put to work.
Planned Master::plan_next(const std::string& pool) const {
  return pool.empty() ? plan_config(source_) : plan_pool(source_, *serving_->config, pool);
}

// True when the raising has ended, one way or the other.
bool Master::finish_raising() {
  if (raising_->failure) {
    const std::string reason = *raising_->failure;
    if (serving_ == nullptr)
      boot_failed(reason);
    else
      roll_back(reason);
    return true;
  }
  if (!supervisor_.is_ready(*raising_)) return false;
  commit();
  return true;
}

void Master::commit() {
  Generation* const before = serving_;
  serving_ = std::exchange(raising_, nullptr);
  log::use(serving_->log);
  control_.commit();
  update_listeners(raising_plan_, listeners_);
  accept_modes_.commit(*serving_);
  supervisor_.commit(*serving_);
  const bool is_whole = raising_plan_.only.empty();
  if (before != nullptr && !is_whole) supervisor_.adopt(*serving_, *before);
  const std::set<std::string> kept = addresses_of(*serving_);
  const std::string summary = fmt::format("generation {}, pool {}", serving_->number, supervisor_.summary(*serving_));
  if (before != nullptr) {
    supervisor_.retire(*before, kept, now_);
    // Workers of the old generation get their Stop, and what they must serve to its end, before the master lets go of
    // listeners that only they have.
    supervisor_.reconcile(now_);
    for (const std::string& address : listeners_.retain_only(kept)) log::info("no longer listening on {}", address);
    std::vector<std::string> changes = config::diff(*before->config, *serving_->config);
    for (const std::string& change : changes) log::info("changed: {}", change);
    if (is_whole)
      log::info("reload done: {}; generation {} drains", summary, before->number);
    else
      log::info("reload of pool {} done: {}; its workers of before drain", raising_plan_.only, summary);
    last_reload_.clear();
    supervisor_.events().note_reload(
        {.subject = fmt::format("generation {}", serving_->number),
         .text = fmt::format("reload asked by {}: {}", reload_by_,
                             changes.empty() ? "nothing has changed" : fmt::format("{}", fmt::join(changes, "; "))),
         .expected = true,
         .at = now_});
    manager_.ready(summary);
    return tell_verdict(ipc::ReloadReport{.generation = serving_->number, .changes = std::move(changes)});
  }
  log::info("ready: {}", summary);
  manager_.ready(summary);
}

// Nothing of the new generation stays.
void Master::roll_back(std::string_view reason, std::vector<std::string> details) {
  std::set<std::string> kept;
  if (serving_ != nullptr) kept = addresses_of(*serving_);
  if (raising_ != nullptr) supervisor_.retire(*std::exchange(raising_, nullptr), kept, now_);
  accept_modes_.roll_back();
  control_.roll_back();
  (void)listeners_.retain_only(kept);
  log::error(MessageCode::kReloadFailed, "reload failed: {}; generation {} goes on", reason, serving_->number);
  last_reload_ = reason;
  supervisor_.events().note_reload(
      {.subject = fmt::format("generation {}", serving_->number),
       .text = fmt::format("goes on: the reload asked by {} failed: {}", reload_by_, reason),
       .at = now_});
  manager_.ready(status_line());
  if (details.empty()) details.emplace_back(reason);
  tell_verdict(ipc::ControlFailure{
      .error = {.message = fmt::format("the reload failed; generation {} goes on as before", serving_->number)},
      .details = std::move(details)});
}

void Master::boot_failed(std::string_view reason) {
  log::error(MessageCode::kCannotStart, "cannot start: {}", reason);
  exit_code_ = ExitCode::kCannotStart;
  begin_stop(StopKind::kFast);
}

void Master::begin_stop(StopKind kind) {
  stop_ = kind;
  reload_wanted_ = false;
  if (raising_ != nullptr && serving_ != nullptr) {
    log::info("the reload that was under way is given up");
    // Each RELOADING=1 needs its READY=1 (sd_notify(3)).
    manager_.ready(fmt::format("generation {}, pool {}", serving_->number, supervisor_.summary(*serving_)));
  }
  accept_modes_.roll_back();  // of a reload that was under way; those who served before finish what they have
  manager_.stopping(kind == StopKind::kFast ? "stopping fast" : "stopping: the workers finish what they have");
  tell_verdict(ipc::ControlFailure{.error = {.message = "the daemon is stopping; the reload was given up"}});
  raising_ = serving_ = nullptr;
  supervisor_.retire_all(now_);
  // The workers hold the sockets: what waits in their queues is served, and the last worker to leave closes them.
  listeners_.close_all();
  if (kind == StopKind::kFast) supervisor_.stop_fast(now_);
}

void Master::warn_about_unused_sockets() const {
  if (const auto unused = listeners_.unused_systemd_names(); !unused.empty())
    log::warn(MessageCode::kSocketsUnused,
              "systemd passed sockets that no pool listens on: {}; add listen = [\"systemd:NAME\"]", joined(unused));
}

std::optional<std::chrono::nanoseconds> Master::time_to_next_deadline() {
  std::optional<os::TimePoint> nearest = supervisor_.next_deadline();
  if (const auto deadline = manager_.next_deadline(is_busy()); deadline && (!nearest || *deadline < *nearest))
    nearest = deadline;
  if (const auto deadline = control_.next_deadline(); deadline && (!nearest || *deadline < *nearest))
    nearest = deadline;
  if (!nearest) return std::nullopt;
  return std::max(*nearest - now_, os::TimePoint::duration::zero());
}

void Master::update_status() {
  if (serving_ == nullptr || stop_ != StopKind::kNone) return;
  if (!manager_.active()) return;
  manager_.status(status_line(), now_);
}

std::string Master::status_line() const {
  const std::string failed = last_reload_.empty() ? "" : fmt::format("; the last reload failed: {}", last_reload_);
  return fmt::format("generation {}, pool {}{}", serving_->number, supervisor_.summary(*serving_), failed);
}

}  // namespace prong::master
