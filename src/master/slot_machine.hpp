// The life of a worker as a pure function over a table: no I/O, no clock. design.md section 4 shows the table.
#pragma once

#include <cstdint>

#include "base/enum_text.hpp"

namespace prong::master {

// kTaken: the worker is the user's program now, busy for the one connection that it accepted.
enum class SlotState : std::uint8_t { kVacant, kStarting, kServing, kTaken, kDraining, kKilling, kBackoff };
inline constexpr EnumText<SlotState, 7> kSlotStateText{{{{SlotState::kVacant, "vacant"},
                                                         {SlotState::kStarting, "starting"},
                                                         {SlotState::kServing, "serving"},
                                                         {SlotState::kTaken, "taken"},
                                                         {SlotState::kDraining, "draining"},
                                                         {SlotState::kKilling, "killing"},
                                                         {SlotState::kBackoff, "backoff"}}}};

enum class SlotEvent : std::uint8_t {
  kWantUp,
  kForked,
  kForkFailed,
  kReady,
  kTaken,     // it holds a connection and becomes the program
  kReturned,  // it gave that connection up and accepts again
  kWantDown,
  kExited,
  kDeadline,
  kChannelEof
};
inline constexpr EnumText<SlotEvent, 10> kSlotEventText{{{{SlotEvent::kWantUp, "want_up"},
                                                          {SlotEvent::kForked, "forked"},
                                                          {SlotEvent::kForkFailed, "fork_failed"},
                                                          {SlotEvent::kReady, "ready"},
                                                          {SlotEvent::kTaken, "taken"},
                                                          {SlotEvent::kReturned, "returned"},
                                                          {SlotEvent::kWantDown, "want_down"},
                                                          {SlotEvent::kExited, "exited"},
                                                          {SlotEvent::kDeadline, "deadline"},
                                                          {SlotEvent::kChannelEof, "channel_eof"}}}};

enum class SlotAction : std::uint8_t {
  kNone,
  kFork,
  kArmStartDeadline,
  kArmBackoff,
  kServe,         // the worker is ready
  kBeginStop,     // first step of the stop plan
  kNextStopStep,  // the plan goes on
  kKill,          // SIGKILL, and a deadline after which to do it again
  kAbort,         // SIGABRT, so that a core and a stack tell where it hung
  kKillAgain,     // SIGKILL and an alert: the kernel does not let it go
  kBury,          // obituary, release what the slot held
  kBuryAndBackoff,
  kBug,  // an empty cell of the table: log it, stay
};

// What the table cannot know by itself.
struct SlotFacts {
  bool backoff = false;          // kExited: the respawn policy wants a pause before the next start
  bool stop_steps_left = false;  // kDeadline while draining: the stop plan has another step before KILL
};

struct SlotMove {
  SlotState state;
  SlotAction action;
  bool operator==(const SlotMove&) const = default;
};

[[nodiscard]] SlotMove next_move(SlotState state, SlotEvent event, SlotFacts facts);

}  // namespace prong::master
