#include "master/call_watch.hpp"

#include <algorithm>
#include <variant>

namespace prong::master {
namespace {

// So that a short request_timeout does not keep the master busy.
constexpr Duration kShortestTime{250};
constexpr int kLooksInTimeout = 4;

}  // namespace

std::optional<Duration> time_between_looks(const config::PoolConfig& pool) {
  if (pool.request_timeout <= Duration::zero()) return std::nullopt;
  // A program has neither concurrency nor request_timeout, but it has their defaults.
  if (std::holds_alternative<config::ExecConfig>(pool.app)) return std::nullopt;
  const bool has_own_calls = std::holds_alternative<config::ModuleConfig>(pool.app);
  if (pool.concurrency != config::Concurrency::kEvent && !has_own_calls) return std::nullopt;
  return std::max(kShortestTime, pool.request_timeout / kLooksInTimeout);
}

bool is_watched(const config::PoolConfig& pool, const ipc::ThreadReading& reading) {
  if (!time_between_looks(pool) || reading.phase == ipc::ThreadPhase::kIdle) return false;
  return pool.concurrency == config::Concurrency::kEvent || reading.phase == ipc::ThreadPhase::kOwn;
}

std::optional<WatchedCall> watch_call(const std::optional<WatchedCall>& before,
                                      const std::optional<ipc::ThreadReading>& reading, const config::PoolConfig& pool,
                                      os::TimePoint now) {
  if (!reading || !is_watched(pool, *reading)) return std::nullopt;
  if (before && before->number == reading->number) return before;
  return WatchedCall{.number = reading->number, .seen = now};
}

std::optional<os::TimePoint> stuck_at(const std::optional<WatchedCall>& call, const ipc::ThreadReading& reading,
                                      const config::PoolConfig& pool, os::TimePoint now) {
  if (!is_watched(pool, reading)) return std::nullopt;
  const bool is_seen = call && call->number == reading.number;
  return (is_seen ? call->seen : now) + pool.request_timeout;
}

bool is_stuck(const std::optional<WatchedCall>& call, Duration request_timeout, os::TimePoint now) {
  return call && now - call->seen >= request_timeout;
}

}  // namespace prong::master
