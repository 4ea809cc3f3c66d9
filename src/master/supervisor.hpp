// Keeps the workers of all generations: forks, tells, reaps, stops, buries. Decisions are the pure functions of
// slot_machine, pool_policy, respawn_policy and stop_plan; this is where they are carried out. Runs in the master,
// never blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "ipc/inheritance.hpp"
#include "master/access_logs.hpp"
#include "master/config_plan.hpp"
#include "master/event_list.hpp"
#include "master/generation.hpp"
#include "master/pool_totals.hpp"
#include "net/listener_set.hpp"
#include "os/epoll.hpp"
#include "os/memory.hpp"
#include "os/process.hpp"

namespace prong::master {

// What a worker runs after the fork; its result is the exit status. main() hands in worker::run, so that the master
// links no code of the worker.
using WorkerMain = int (*)(const ipc::Inheritance&, const config::PoolConfig&);

class Supervisor {
 public:
  // All are borrowed and must outlive it. `launcher_file`: the open file of prongd-launch, -1 if there is none. What
  // belongs to workers is watched with keys from kFirstKey up. Files of access logs that no generation needs any more
  // are closed.
  Supervisor(os::Epoll& epoll, net::ListenerSet& listeners, AccessLogs& access_logs, WorkerMain worker_main,
             std::size_t descriptor_limit, int launcher_file)
      : epoll_(&epoll),
        listeners_(&listeners),
        access_logs_(&access_logs),
        worker_main_(worker_main),
        descriptor_limit_(descriptor_limit),
        launcher_file_(launcher_file),
        out_of_memory_kills_(os::out_of_memory_kills()) {}
  static constexpr std::uint64_t kFirstKey = 1024;

  // A new generation in phase kRaising; its workers start with the next reconcile(). Borrowed; valid until it is gone.
  Generation& raise(const ConfigPlan& plan, std::shared_ptr<log::Output> log, StartPatience patience);
  // All its workers accept from now on, but those of pools that are paused.
  void commit(Generation& generation) const;
  // The pools that `to`, which has another configuration and one pool of its own, does not have yet: they go there from
  // `from`, with their workers, which notice nothing.
  void adopt(Generation& to, Generation& from);
  // Its workers drain, since another generation serves. `kept`: the addresses from which that one goes on accepting.
  void retire(Generation& generation, const std::set<std::string>& kept, os::TimePoint now);
  // The daemon stops: the workers of all generations drain, those that did so already with less time.
  void retire_all(os::TimePoint now);
  // Every worker of every generation cuts its connections and exits soon, by force if need be.
  void stop_fast(os::TimePoint now);

  // Facts, in this order in each turn of the loop.
  void handle_event(std::uint64_t key, os::TimePoint now);
  // The child must not have been reaped yet: what is left of its process group is ended first.
  void bury(const os::Exit& exit, os::TimePoint now);
  void handle_ended_channels(os::TimePoint now);
  void handle_deadlines(os::TimePoint now);

  // Compares what should run with what runs, and acts.
  void reconcile(os::TimePoint now);

  // Called before each wait. With many slots a look at all of them costs, so what is due is only looked for when
  // something was due by then; what becomes due in the same turn is found in the next one.
  [[nodiscard]] std::optional<os::TimePoint> next_deadline();
  [[nodiscard]] bool is_ready(const Generation& generation) const;  // every pool has all its workers serving
  // Whether workers that drain may still have listeners open that nobody else has: then their addresses cannot be
  // bound.
  [[nodiscard]] bool is_letting_go() const;
  [[nodiscard]] bool is_empty() const { return generations_.empty(); }
  // Who of the workers has asked for a reload since the last call, and why: "shop/worker[0]: shop/wsgi.py changed".
  [[nodiscard]] std::optional<std::string> take_reload_wish() { return std::exchange(reload_wish_, std::nullopt); }
  // A worker of a status pool was forked: the master's end of the connection over which it asks, and its name.
  struct Asker {
    os::UniqueFd fd;
    std::string name;
  };
  // Since the last call.
  [[nodiscard]] std::vector<Asker> take_askers() { return std::exchange(askers_, {}); }
  // What all workers of that name's pools have done, in all generations, dead or alive. Reads every live scoreboard.
  [[nodiscard]] PoolTotals totals(const std::string& pool, os::TimePoint now) const;
  // Of pools that had workers which are dead by now.
  [[nodiscard]] const PoolBook& book() const { return book_; }
  // "files 2/2, shop 4/4, date 4 spare, 12 busy"
  [[nodiscard]] std::string summary(const Generation& generation) const;

  void adjust_workers(Generation& generation, std::int32_t by) const;
  // A pool of fixed size has `count` workers from now on, until the next reload.
  void scale(const Generation& generation, Pool& pool, std::uint32_t count) const;
  // The workers of a pool, or the one of that slot, are replaced as max_unavailable allows, each by one that is ready
  // first. How many that are: those that are replaced already count too, others than serving ones do not.
  [[nodiscard]] std::size_t recycle(Pool& pool, std::optional<std::uint32_t> slot, const std::string& reason);

  // The workers of this pool accept nothing until resume(), over reloads. False: it is so already.
  [[nodiscard]] bool pause(const std::string& pool);
  [[nodiscard]] bool resume(const std::string& pool);
  [[nodiscard]] bool is_paused(const std::string& pool) const { return paused_.contains(pool); }

  // For reports.
  [[nodiscard]] const std::vector<std::unique_ptr<Generation>>& generations() const { return generations_; }
  [[nodiscard]] std::uint32_t wanted(const Generation& generation, const Pool& pool) const;
  // The latest deaths and reloads.
  [[nodiscard]] EventList& events() { return events_; }
  [[nodiscard]] const EventList& events() const { return events_; }
  // Sends the reopened log file to all workers.
  void announce_log(int fd);
  void announce_log_level(log::Level level);
  // Sends the reopened access logs to the workers that write to them.
  void announce_access_logs();

 private:
  // A slot with what it belongs to; invalid when generation is null.
  struct Place {
    Generation* generation = nullptr;
    Pool* pool = nullptr;
    Slot* slot = nullptr;
  };
  // A descriptor in the epoll set.
  enum class Source : std::uint8_t { kChannel, kOutput, kNotify, kLauncher };
  struct Watched {
    Place place;
    Source source = Source::kChannel;
  };
  [[nodiscard]] Result<std::uint64_t> watch(int fd, const Place& place, Source source);
  void unwatch(int fd, std::uint64_t key);
  // The function must not add or remove slots.
  template <class Function>
  void for_each_slot(Function function) {
    for (const auto& generation : generations_)
      for (Pool& pool : generation->pools)
        for (Slot& slot : pool.slots) function(Place{generation.get(), &pool, &slot});
  }

  // The one way to a slot's state: asks the table, moves, logs, acts.
  void apply(const Place& place, SlotEvent event, SlotFacts facts, os::TimePoint now);
  void act(const Place& place, SlotAction action, os::TimePoint now);
  void fork_worker(const Place& place, os::TimePoint now);
  // The worker's ends of what connects it to the master, until it has them.
  struct WorkerEnds {
    ipc::Channel channel;
    os::UniqueFd program_end;  // of the pipe; invalid without a program
    os::UniqueFd counters;     // of its scoreboard; invalid with a program
    os::UniqueFd asking;       // of its connection to the control server; invalid but in status pools
  };
  [[nodiscard]] static Result<os::UniqueFd> open_asking_ends(const Place& place, ipc::Inheritance& inheritance);
  // The master's ends go to the slot. What the worker needs to know of its own stands in the inheritance.
  [[nodiscard]] Result<WorkerEnds> open_ends(const Place& place, ipc::Inheritance& inheritance);
  // What all workers of a pool inherit.
  [[nodiscard]] ipc::Inheritance inheritance_of(const Pool& pool) const;
  [[nodiscard]] Result<pid_t> make_worker(const Place& place, os::TimePoint now);
  [[nodiscard]] Result<pid_t> fork_with(ipc::Inheritance inheritance, const Generation& generation, const Pool& pool);
  static void note_module_file(const Place& place);
  [[nodiscard]] static bool module_was_overwritten(const Place& place);
  [[nodiscard]] static Departure departure_of(const Place& place);
  [[nodiscard]] bool was_out_of_memory(const Place& place, const os::ExitStatus& status);
  void note_death(const Place& place, const Obituary& obituary, const ipc::WorkerTotals& did, os::TimePoint now);
  static void report_fork_failure(const Place& place, const Error& error);
  [[nodiscard]] StopPlan choose_stop_plan(const Place& place) const;
  void begin_stop(const Place& place, os::TimePoint now);
  static void take_stop_step(const Place& place, os::TimePoint now);
  static void note_why_killed(const Place& place);
  static void kill(const Place& place, int signal, os::TimePoint now);
  static void note_ready(const Place& place, os::TimePoint now);
  static void note_failed_start(const Place& place, std::string_view reason);
  static void tell_who_stays(const Place& place);
  void release(Slot& slot);
  void handle_message(const Place& place, const ipc::Message& message, os::TimePoint now);
  void tell_serving_workers(const std::string& pool, const ipc::Message& message) const;
  void note_leaving(const Place& place, const std::string& reason, Departure departure, os::TimePoint now);
  void note_reload_wish(const Place& place, const std::string& reason);
  void drain_channel(const Place& place, os::TimePoint now);
  // Calls of `event` workers that never return (supervisor_watch.cpp).
  static void plan_look(Pool& pool, os::TimePoint now);
  void look_at_calls(os::TimePoint now);
  void look_at_call(const Place& place, os::TimePoint now);
  // Launchers (supervisor_launch.cpp).
  void keep_launcher(Generation& generation, Pool& pool, os::TimePoint now);
  [[nodiscard]] Result<void> start_launcher(Generation& generation, Pool& pool);
  void end_launcher(Pool& pool);
  void kill_launcher(Pool& pool);
  void note_launcher_failure(Pool& pool, std::string_view reason, os::TimePoint now);
  void read_launcher(const Place& place, os::TimePoint now);
  [[nodiscard]] std::optional<Result<pid_t>> try_launch(const Place& place, const WorkerEnds& ends, os::TimePoint now);
  [[nodiscard]] bool bury_launcher(const os::Exit& exit, os::TimePoint now);
  // Workers that become programs (supervisor_program.cpp).
  [[nodiscard]] Result<os::UniqueFd> open_program_ends(const Place& place, ipc::Inheritance& inheritance);
  void close_program_ends(Program& program);
  void note_taken(const Place& place, const ipc::Taken& taken, os::TimePoint now);
  static void note_executing(const Place& place, os::TimePoint now);
  static void note_channel_end(const Place& place, os::TimePoint now);
  void read_output(const Place& place, os::TimePoint now);
  void resume_output(const Place& place, os::TimePoint now);
  static void log_output(const Place& place, const std::vector<std::string>& lines);
  [[nodiscard]] static std::string log_python_stack(const Place& place);
  void read_notices(const Place& place, os::TimePoint now);
  // Programs for one connection each in all pools of this name, of one client's address if one is given.
  [[nodiscard]] std::size_t programs_in(const std::string& pool, const std::string* client) const;
  static void report_refusal(const Place& place, const std::string& client, os::TimePoint now);
  [[nodiscard]] static int stop_signal(const Place& place);

  void forget_unused_access_logs();
  // Whether the spares that are missing are forked a little later.
  [[nodiscard]] bool defers_spares(const Generation& generation, Pool& pool, const SlotPlan& plan,
                                   os::TimePoint now) const;
  void reconcile_pool(Generation& generation, Pool& pool, os::TimePoint now);
  [[nodiscard]] static log::Subject subject(const Place& place);

  os::Epoll* epoll_;
  net::ListenerSet* listeners_;
  AccessLogs* access_logs_;
  WorkerMain worker_main_;
  std::size_t descriptor_limit_;  // with which the daemon was started, for programs
  int launcher_file_;
  std::vector<std::unique_ptr<Generation>> generations_;
  std::uint32_t last_generation_ = 0;
  std::uint64_t last_asked_ = 0;        // to retire
  std::uint64_t last_key_ = kFirstKey;  // keys are never used twice, so a late event finds nobody
  std::unordered_map<std::uint64_t, Watched> watched_;
  std::unordered_map<pid_t, Place> workers_;
  std::optional<os::TimePoint> nearest_due_;  // of all slots, as next_deadline() found it
  std::optional<std::string> reload_wish_;
  std::vector<Asker> askers_;
  std::optional<std::uint64_t> out_of_memory_kills_;  // that are known, or laid to a worker's death
  PoolBook book_;
  std::set<std::string> paused_;  // pools, by their names
  EventList events_;
  bool stops_fast_ = false;
};

}  // namespace prong::master
