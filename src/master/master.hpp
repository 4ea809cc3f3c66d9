// The master: one loop that turns signals, messages and deaths into facts, and one reconcile step per turn that acts on
// them. Single-threaded; never blocks but on files while it reads a configuration; runs no foreign code.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ipc/control.hpp"
#include "master/accept_mode.hpp"
#include "master/access_logs.hpp"
#include "master/config_plan.hpp"
#include "master/control_server.hpp"
#include "master/reload.hpp"
#include "master/service_manager.hpp"
#include "master/signal_table.hpp"
#include "master/supervisor.hpp"
#include "net/listener_set.hpp"
#include "os/epoll.hpp"
#include "os/signals.hpp"
#include "os/systemd.hpp"

namespace prong::master {

// Exit codes of the daemon (design.md section 4).
enum class ExitCode : std::uint8_t { kDone = 0, kRuntime = 1, kUsage = 2, kCannotStart = 3 };

class Master {
 public:
  // Blocks all signals and opens what the loop needs. `launcher_file`: that of prongd-launch; without it pools of
  // programs work more slowly.
  [[nodiscard]] static Result<std::unique_ptr<Master>> create(ConfigSource source, WorkerMain worker_main,
                                                              os::SystemdHandover handover, os::UniqueFd launcher_file);

  // Boots from a configuration that was found good and the log opened for it, serves until it is told to stop, returns
  // why it ended.
  [[nodiscard]] ExitCode run(Planned planned, std::shared_ptr<log::Output> log);

 private:
  enum class StopKind : std::uint8_t { kNone, kGraceful, kFast };

  Master(ConfigSource source, WorkerMain worker_main, os::SystemdHandover handover, os::UniqueFd launcher_file,
         os::Epoll epoll, os::SignalFd signals);

  [[nodiscard]] bool begin(Planned planned, const Current& current, StartPatience patience);
  [[nodiscard]] std::optional<PrepareError> prepare_control(const Planned& planned);
  [[nodiscard]] bool turn();
  void collect_facts();
  void admit_status_workers();
  void handle_signal(const os::ReceivedSignal& received);
  void ask_for_stop(const std::string& by);
  // Of everything, or of one pool.
  void ask_for_reload(const std::string& by, const std::string& pool = {});
  void reopen_logs();
  void adjust(std::int32_t by);

  void reconcile();
  void begin_reload();
  [[nodiscard]] bool finish_raising();
  void commit();
  void roll_back(std::string_view reason, std::vector<std::string> details = {});
  void boot_failed(std::string_view reason);
  void begin_stop(StopKind kind);
  void warn_about_unused_sockets() const;

  // The verbs of the control socket (master_control.cpp). Nothing: the answer comes later.
  void answer_control_clients();
  [[nodiscard]] std::optional<ipc::ControlAnswer> try_to_carry_out(const ControlServer::Request& from,
                                                                   const ipc::ControlRequest& request);
  [[nodiscard]] std::optional<ipc::ControlAnswer> carry_out(const ControlServer::Request& from,
                                                            const ipc::ControlRequest& request);
  [[nodiscard]] ipc::ControlAnswer report(const ipc::ControlRequest& request) const;
  [[nodiscard]] std::optional<ipc::ControlAnswer> reload_for(const ControlServer::Request& from,
                                                             const std::string& pool);
  [[nodiscard]] ipc::ControlAnswer plan_reload(const std::string& pool) const;
  [[nodiscard]] Planned plan_next(const std::string& pool) const;
  [[nodiscard]] Result<void> check_reloads(const std::string& pool) const;
  [[nodiscard]] ipc::ControlAnswer pause_for(const ControlServer::Request& from, const ipc::ControlRequest& request);
  [[nodiscard]] ipc::ControlAnswer stop_for(const ControlServer::Request& from, bool fast);
  [[nodiscard]] ipc::ControlAnswer scale_for(const ControlServer::Request& from, const ipc::ControlRequest& request);
  [[nodiscard]] ipc::ControlAnswer recycle_for(const ControlServer::Request& from, const ipc::ControlRequest& request);
  [[nodiscard]] Result<Pool*> find_pool(const std::string& name) const;
  [[nodiscard]] ipc::ControlAnswer change_log_level_for(const ControlServer::Request& from, const std::string& wanted);
  [[nodiscard]] Error no_such_pool(const std::string& name) const;
  [[nodiscard]] Result<void> check_serves() const;
  void tell_verdict(const ipc::ControlAnswer& verdict);

  [[nodiscard]] bool is_busy() const { return serving_ == nullptr || stop_ != StopKind::kNone; }
  [[nodiscard]] std::optional<std::chrono::nanoseconds> time_to_next_deadline();
  void update_status();
  [[nodiscard]] std::string status_line() const;

  ConfigSource source_;
  os::UniqueFd launcher_file_;
  os::Epoll epoll_;
  os::SignalFd signals_;
  net::ListenerSet listeners_;
  AcceptModes accept_modes_;
  AccessLogs access_logs_;
  ServiceManager manager_;
  Supervisor supervisor_;
  ControlServer control_;
  os::TimePoint now_;
  os::TimePoint started_;
  std::chrono::system_clock::time_point started_at_ = std::chrono::system_clock::now();  // for people and metrics

  Generation* serving_ = nullptr;  // owned by supervisor_
  Generation* raising_ = nullptr;  // owned by supervisor_
  ConfigPlan raising_plan_;
  StopKind stop_ = StopKind::kNone;
  bool reload_wanted_ = false;
  std::string reload_pool_;                              // the one that is to be reloaded; empty: everything
  std::string reload_by_;                                // who asked for the one that is wanted or under way
  std::vector<ControlServer::ClientId> verdict_wanted_;  // who waits for its verdict
  std::string last_reload_;                              // why the last reload failed; empty: it did not
  ExitCode exit_code_ = ExitCode::kDone;
};

}  // namespace prong::master
