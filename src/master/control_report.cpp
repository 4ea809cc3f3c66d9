#include "master/control_report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include "config/diagnostic.hpp"
#include "config/origin.hpp"
#include "os/memory.hpp"
#include "os/socket.hpp"

namespace prong::master {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

std::string_view app_name(const config::StaticConfig& /*app*/) {
  return "static";
}
std::string_view app_name(const config::RespondConfig& /*app*/) {
  return "respond";
}
std::string_view app_name(const config::EchoConfig& /*app*/) {
  return "echo";
}
std::string_view app_name(const config::ExecConfig& /*app*/) {
  return "exec";
}
std::string_view app_name(const config::WsgiConfig& /*app*/) {
  return "wsgi";
}
std::string_view app_name(const config::ModuleConfig& /*app*/) {
  return "module";
}
std::string_view app_name(const config::StatusConfig& /*app*/) {
  return "status";
}

// The one that serves first, then from the newest on.
std::vector<const Generation*> in_order(const Supervisor& supervisor) {
  std::vector<const Generation*> generations;
  for (const auto& generation : supervisor.generations()) generations.push_back(generation.get());
  std::ranges::stable_sort(generations, [](const Generation* a, const Generation* b) {
    const bool a_serves = a->phase == GenerationPhase::kServing;
    const bool b_serves = b->phase == GenerationPhase::kServing;
    return a_serves != b_serves ? a_serves : a->number > b->number;
  });
  return generations;
}

// Adds a worker to the counts of its pool.
void count(const Generation& generation, const Slot& slot, ipc::PoolReport& report) {
  switch (slot.state) {
    case SlotState::kVacant:
      return;
    case SlotState::kStarting:
    case SlotState::kBackoff:
      ++report.starting;
      break;
    case SlotState::kServing:
      // One of a generation that is being raised is ready and accepts nothing yet.
      ++(generation.phase == GenerationPhase::kServing ? report.ready : report.starting);
      break;
    case SlotState::kTaken:
      ++report.busy;
      break;
    case SlotState::kDraining:
    case SlotState::kKilling:
      ++report.leaving;
      break;
  }
}

std::optional<ipc::DeathReport> report_of(const std::optional<DeathNote>& death, os::TimePoint now) {
  if (!death) return std::nullopt;
  return ipc::DeathReport{.worker = death->worker,
                          .text = death->text,
                          .expected = death->expected,
                          .ago = duration_cast<milliseconds>(now - death->at)};
}

ipc::ProcessReport process_of(pid_t pid) {
  const auto usage = os::usage_of(pid);
  if (!usage) return {};
  return {.resident_bytes = usage->resident.bytes, .cpu_time = usage->cpu_time};
}

// What the pool's workers are to the system, all together.
void add_process(const Slot& slot, ipc::ProcessReport& sum) {
  if (slot.pid <= 0) return;
  const ipc::ProcessReport process = process_of(slot.pid);
  sum.resident_bytes += process.resident_bytes;
  sum.cpu_time += process.cpu_time;
}

ipc::PoolReport begin_report(const Supervisor& supervisor, const Generation& generation, const Pool& pool,
                             const net::ListenerSet& listeners, os::TimePoint now) {
  const PoolTotals totals = supervisor.totals(pool.config->name, now);
  ipc::PoolReport report{
      .name = pool.config->name,
      .app = std::string{std::visit([](const auto& app) { return app_name(app); }, pool.config->app)},
      .listeners = {},
      .wanted = supervisor.wanted(generation, pool),
      .paused = supervisor.is_paused(pool.config->name),
      .served = totals.served,
      .lost = totals.lost_requests,
      .deaths = totals.unexpected_deaths,
      .deaths_by_cause = totals.deaths_by_cause,
      .metrics = totals.own.metrics(),
      .metrics_left_out = totals.own.has_left_out(),
      .last_death = report_of(totals.last_death, now)};
  for (const std::string& address : pool.listeners) {
    const net::Listener* const listener = listeners.find(address);
    report.listeners.push_back(listener != nullptr ? listener->bound_text() : address);
    if (listener == nullptr) continue;
    for (const int fd : listener->descriptors()) report.queued += os::accept_queue_length(fd).value_or(0);
  }
  return report;
}

std::string note_of(const Slot& slot) {
  if (slot.state == SlotState::kBackoff)
    return slot.failures == 1 ? "waits after a failed start"
                              : fmt::format("waits after {} failed starts", slot.failures);
  if (!slot.killed_because.empty()) return slot.killed_because;
  if (!slot.retired_because.empty()) return slot.retired_because;
  if (!slot.retirement_reason.empty()) return "wants to retire: " + slot.retirement_reason;
  if (slot.program.kind == ProgramKind::kConnection)
    return slot.program.client.empty() ? "serves a UNIX socket" : "serves " + slot.program.client;
  return slot.program.status;
}

ipc::ThreadReport report_of(const ipc::ThreadReading& thread, os::TimePoint now) {
  ipc::ThreadReport report{
      .phase = thread.phase, .method = thread.method, .target = thread.target, .peer = thread.peer};
  if (thread.number > 0) report.lasts = now - thread.since;
  if (thread.deadline) report.deadline = *thread.deadline - now;
  return report;
}

std::vector<std::optional<ipc::ThreadReport>> report_threads(const Pool& pool, const Slot& slot, os::TimePoint now) {
  std::vector<std::optional<ipc::ThreadReport>> reports;
  std::vector<std::optional<ipc::ThreadReading>> threads = threads_of(slot, now);
  for (std::size_t i = 0; i < threads.size(); ++i) {
    std::optional<ipc::ThreadReading>& thread = threads[i];
    // It may be the master who keeps the time.
    if (thread && !thread->deadline && slot.state == SlotState::kServing)
      thread->deadline = stuck_at(i < slot.calls.size() ? slot.calls[i] : std::nullopt, *thread, *pool.config, now);
    reports.push_back(thread ? std::optional{report_of(*thread, now)} : std::nullopt);
  }
  return reports;
}

ipc::WorkerReport report_of(const Pool& pool, const Slot& slot, os::TimePoint now) {
  return {.pool = pool.config->name,
          .slot = slot.number,
          .generation = pool.generation,
          .pid = slot.pid,
          .state = std::string{kSlotStateText.text(slot.state)},
          .age = slot.pid > 0 ? duration_cast<milliseconds>(now - slot.forked_at) : milliseconds{},
          .served = totals_of(slot),
          .process = slot.pid > 0 ? process_of(slot.pid) : ipc::ProcessReport{},
          .threads = report_threads(pool, slot, now),
          .note = note_of(slot)};
}

}  // namespace

std::vector<ipc::PoolReport> report_pools(const Supervisor& supervisor, const net::ListenerSet& listeners,
                                          const std::string& only, os::TimePoint now) {
  std::vector<ipc::PoolReport> reports;
  for (const Generation* generation : in_order(supervisor)) {
    for (const Pool& pool : generation->pools) {
      if (!only.empty() && pool.config->name != only) continue;
      auto report = std::ranges::find(reports, pool.config->name, &ipc::PoolReport::name);
      if (report == reports.end())
        report = reports.insert(reports.end(), begin_report(supervisor, *generation, pool, listeners, now));
      for (const Slot& slot : pool.slots) {
        count(*generation, slot, *report);
        add_process(slot, report->process);
      }
    }
  }
  return reports;
}

std::vector<ipc::WorkerReport> report_workers(const Supervisor& supervisor, const std::string& only,
                                              os::TimePoint now) {
  std::vector<ipc::WorkerReport> reports;
  for (const Generation* generation : in_order(supervisor)) {
    for (const Pool& pool : generation->pools) {
      if (!only.empty() && pool.config->name != only) continue;
      for (const Slot& slot : pool.slots)
        if (slot.state != SlotState::kVacant) reports.push_back(report_of(pool, slot, now));
    }
  }
  std::ranges::stable_sort(reports, {}, &ipc::WorkerReport::pool);
  return reports;
}

std::vector<ipc::EventReport> report_events(const EventList& list, os::TimePoint now) {
  std::vector<ipc::EventReport> reports;
  for (const Event& event : list.events())
    reports.push_back({.kind = event.kind,
                       .subject = event.subject,
                       .text = event.text,
                       .expected = event.expected,
                       .ago = duration_cast<milliseconds>(now - event.at)});
  return reports;
}

ipc::ProcessReport report_process() {
  return process_of(::getpid());
}

ipc::ConfigReport report_config(const config::Config& config) {
  ipc::ConfigReport report{.files = config.sources, .values = {}};
  for (config::EffectiveValue& value : config::effective_values(config)) {
    const bool is_written = !value.position.file.empty();
    report.values.push_back({.name = std::move(value.name),
                             .value = std::move(value.value),
                             .origin = is_written ? config::to_text(value.position) : std::string{}});
  }
  return report;
}

}  // namespace prong::master
