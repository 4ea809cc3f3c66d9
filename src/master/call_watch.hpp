// Whether a worker is stuck in a call of its application that nobody in the worker keeps the time of. In `event` that
// is any call: the application runs on the worker's one thread. In `thread` and `process` the worker's I/O thread keeps
// the time of requests and of events of streams, and what is left are a module's timers and posted functions. The
// master looks from outside, at what the scoreboard says. Pure functions.
//
// The cell's own `since` is not what decides. The worker takes it from a clock that it does not read before every call
// (worker/shown_call.hpp), so it may be long past when the call begins, and killing on it would kill the innocent. What
// decides is that the same call was seen again and again: a worker that is stuck is found in at least 1 and at
// most 1.25 times its request_timeout (or 250 ms more than it).
#pragma once

#include <cstdint>
#include <optional>

#include "config/config.hpp"
#include "ipc/thread_cell.hpp"
#include "os/clock.hpp"

namespace prong::master {

// How long the master waits between two looks at the workers of this pool; nothing: it need not look.
[[nodiscard]] std::optional<Duration> time_between_looks(const config::PoolConfig& pool);

// A call that a worker was in at a look, and the first look that found it there.
struct WatchedCall {
  std::uint64_t number = 0;  // ipc::Call
  os::TimePoint seen = {};
  bool operator==(const WatchedCall&) const = default;
};

// Whether it is the master who keeps the time of this call.
[[nodiscard]] bool is_watched(const config::PoolConfig& pool, const ipc::ThreadReading& reading);

// What one look at a thread makes of what the look before made. Nothing: the thread is in no call that is watched, or
// its cell says nothing that could be believed. `reading` is untrusted: a worker that lies about its calls is only
// taken for stuck, or not, itself.
[[nodiscard]] std::optional<WatchedCall> watch_call(const std::optional<WatchedCall>& before,
                                                    const std::optional<ipc::ThreadReading>& reading,
                                                    const config::PoolConfig& pool, os::TimePoint now);

[[nodiscard]] bool is_stuck(const std::optional<WatchedCall>& call, Duration request_timeout, os::TimePoint now);

// For reports: by when the call of `reading` is over or the worker is stuck, as far as the last look can say it.
// Nothing: nobody waits for it, or it is no call.
[[nodiscard]] std::optional<os::TimePoint> stuck_at(const std::optional<WatchedCall>& call,
                                                    const ipc::ThreadReading& reading, const config::PoolConfig& pool,
                                                    os::TimePoint now);

}  // namespace prong::master
