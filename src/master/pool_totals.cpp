#include "master/pool_totals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace prong::master {

void PoolTotals::add_live(const ipc::WorkerTotals& worker, const OwnReading& own_metrics,
                          std::chrono::nanoseconds lived) {
  if (!ipc::is_plausible(worker, lived)) {
    ++overwritten;
    return;
  }
  served.merge(worker);
  own.add_live(own_metrics);
}

void PoolBook::bury(const std::string& pool, const ipc::WorkerTotals& worker, const OwnReading& own,
                    std::chrono::nanoseconds lived, DeathNote death) {
  PoolTotals& totals = pools_[pool];
  ++totals.workers;
  ++totals.deaths_by_cause[death.cause];
  if (!death.expected) ++totals.unexpected_deaths;
  // Expected ones are many (each reload, each program), and hide what somebody is looking for.
  if (!death.expected || totals.unexpected_deaths == 0) totals.last_death = std::move(death);
  if (!ipc::is_plausible(worker, lived)) {
    ++totals.overwritten;
    return;
  }
  ipc::WorkerTotals last = worker;
  last.counts.open_connections = 0;
  totals.lost_requests += last.counts.inside();
  // Those are not under way any more.
  last.counts.begun = std::min(last.counts.begun, last.counts.requests);
  totals.served.merge(last);
  totals.own.add_dead(own);
}

PoolTotals PoolBook::of(const std::string& pool) const {
  const auto found = pools_.find(pool);
  return found == pools_.end() ? PoolTotals{} : found->second;
}

std::string PoolTotals::text() const {
  const ipc::WorkerCounts& counts = served.counts;
  std::string aside;
  const auto note = [&aside](std::uint64_t number, std::string_view what) {
    if (number > 0) aside += fmt::format("{}{} {}", aside.empty() ? "" : ", ", number, what);
  };
  note(counts.cut, "cut");
  note(lost_requests, "lost");
  note(counts.refused, "refused");
  if (!aside.empty()) aside = " (" + aside + ")";
  std::string line =
      fmt::format("{} connections, {} requests{}, {} workers", counts.connections, counts.requests, aside, workers);
  if (unexpected_deaths > 0) line += fmt::format(", {} died unexpectedly", unexpected_deaths);
  if (overwritten > 0) line += fmt::format(", the numbers of {} are not known", overwritten);
  return line;
}

}  // namespace prong::master
