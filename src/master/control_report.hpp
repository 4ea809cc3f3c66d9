// What the supervisor's data say to an operator: the pools and workers of `prongctl status` and `workers`. Only reads.
// Runs in the master.
#pragma once

#include <string>
#include <vector>

#include "ipc/control.hpp"
#include "master/supervisor.hpp"
#include "net/listener_set.hpp"
#include "os/clock.hpp"

namespace prong::master {

// Of all pools, those of the serving generation first and in the order of its file, or of the one named `only`. A pool
// that only an older generation has is there until its last worker is gone.
[[nodiscard]] std::vector<ipc::PoolReport> report_pools(const Supervisor& supervisor, const net::ListenerSet& listeners,
                                                        const std::string& only, os::TimePoint now);

// By pool and generation, in the order of their slots.
[[nodiscard]] std::vector<ipc::WorkerReport> report_workers(const Supervisor& supervisor, const std::string& only,
                                                            os::TimePoint now);

// The newest last.
[[nodiscard]] std::vector<ipc::EventReport> report_events(const EventList& list, os::TimePoint now);

// Of the master itself.
[[nodiscard]] ipc::ProcessReport report_process();

// Every value of a configuration, with its origin.
[[nodiscard]] ipc::ConfigReport report_config(const config::Config& config);

}  // namespace prong::master
