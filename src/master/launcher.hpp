// A pool's launcher (ipc/launch.hpp), seen from the master: what is known of it, and the order for one more spare.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <variant>

#include "base/error.hpp"
#include "base/units.hpp"
#include "ipc/channel.hpp"
#include "os/clock.hpp"

namespace prong::master {

struct Launcher {
  pid_t pid = 0;  // 0: there is none
  ipc::Channel channel;
  std::uint64_t channel_key = 0;
  bool ready = false;     // takes orders
  bool given_up = false;  // the master has killed it
  std::uint32_t orders = 0;
  std::uint32_t failures = 0;        // launchers in a row that never were ready
  std::optional<os::TimePoint> due;  // none is started before
};

// The answer takes some ten microseconds. A launcher that does not answer for so long is stopped or starved; the
// master, which waits meanwhile, does better without it.
inline constexpr Duration kLaunchPatience{100};

enum class NoSpareBecause : std::uint8_t {
  kCannotFork,  // the launcher works
  kGone,        // the launcher has ended; its exit status says why
  kBroken,      // the launcher is of no use any more
};
struct NoSpare {
  NoSpareBecause because = NoSpareBecause::kGone;
  Error error = {};  // not of kGone
};

// Has the launcher make a spare with these ends of channel and pipe, which are borrowed: its pid. Blocks for at most
// kLaunchPatience.
[[nodiscard]] std::variant<pid_t, NoSpare> order_spare(Launcher& launcher, int channel, int errors);

// What came unasked. The error: why it cannot start, or what it should not have said. Does not block.
enum class Heard : std::uint8_t { kNothing, kReady, kEnd };
[[nodiscard]] Result<Heard> hear_launcher(const Launcher& launcher);

}  // namespace prong::master
