// The slot machine against the table of design.md section 4, cell by cell.
#include <catch2/catch.hpp>

#include <array>
#include <optional>

#include "master/slot_machine.hpp"

namespace prong::master {
namespace {

using S = SlotState;
using E = SlotEvent;
using A = SlotAction;

// A filled cell. What is not listed is an empty one. The last two columns say where a fact makes a difference.
struct Cell {
  S from = S::kVacant;
  E event = E::kWantUp;
  SlotMove move = {S::kVacant, A::kNone};
  std::optional<SlotMove> if_backoff = {};
  std::optional<SlotMove> if_steps_left = {};
};

constexpr SlotMove kBuried{S::kVacant, A::kBury};
constexpr SlotMove kBuriedToWait{S::kBackoff, A::kBuryAndBackoff};

constexpr std::array kTable{
    Cell{S::kVacant, E::kWantUp, {S::kStarting, A::kFork}},
    Cell{S::kVacant, E::kWantDown, {S::kVacant, A::kNone}},

    Cell{S::kStarting, E::kWantUp, {S::kStarting, A::kNone}},
    Cell{S::kStarting, E::kForked, {S::kStarting, A::kArmStartDeadline}},
    Cell{S::kStarting, E::kForkFailed, {S::kBackoff, A::kArmBackoff}},
    Cell{S::kStarting, E::kReady, {S::kServing, A::kServe}},
    Cell{S::kStarting, E::kWantDown, {S::kDraining, A::kBeginStop}},
    Cell{S::kStarting, E::kExited, kBuried, kBuriedToWait},
    Cell{S::kStarting, E::kDeadline, {S::kKilling, A::kKill}},
    Cell{S::kStarting, E::kChannelEof, {S::kKilling, A::kKill}},

    Cell{S::kServing, E::kWantUp, {S::kServing, A::kNone}},
    Cell{S::kServing, E::kTaken, {S::kTaken, A::kNone}},
    Cell{S::kServing, E::kWantDown, {S::kDraining, A::kBeginStop}},
    Cell{S::kServing, E::kExited, kBuried, kBuriedToWait},
    Cell{S::kServing, E::kDeadline, {S::kKilling, A::kAbort}},
    Cell{S::kServing, E::kChannelEof, {S::kKilling, A::kKill}},

    Cell{S::kTaken, E::kWantUp, {S::kTaken, A::kNone}},
    Cell{S::kTaken, E::kReturned, {S::kServing, A::kNone}},
    Cell{S::kTaken, E::kWantDown, {S::kDraining, A::kBeginStop}},
    Cell{S::kTaken, E::kExited, kBuried},
    Cell{S::kTaken, E::kChannelEof, {S::kTaken, A::kNone}},

    Cell{S::kDraining, E::kWantUp, {S::kDraining, A::kNone}},
    Cell{S::kDraining, E::kReady, {S::kDraining, A::kNone}},
    Cell{S::kDraining, E::kTaken, {S::kDraining, A::kBeginStop}},
    Cell{S::kDraining, E::kWantDown, {S::kDraining, A::kNone}},
    Cell{S::kDraining, E::kExited, kBuried},
    Cell{S::kDraining, E::kDeadline, {S::kKilling, A::kKill}, {}, SlotMove{S::kDraining, A::kNextStopStep}},
    Cell{S::kDraining, E::kChannelEof, {S::kDraining, A::kNone}},

    Cell{S::kKilling, E::kWantUp, {S::kKilling, A::kNone}},
    Cell{S::kKilling, E::kReady, {S::kKilling, A::kNone}},
    Cell{S::kKilling, E::kTaken, {S::kKilling, A::kNone}},
    Cell{S::kKilling, E::kWantDown, {S::kKilling, A::kNone}},
    Cell{S::kKilling, E::kExited, kBuried, kBuriedToWait},
    Cell{S::kKilling, E::kDeadline, {S::kKilling, A::kKillAgain}},
    Cell{S::kKilling, E::kChannelEof, {S::kKilling, A::kNone}},

    Cell{S::kBackoff, E::kWantUp, {S::kBackoff, A::kNone}},
    Cell{S::kBackoff, E::kWantDown, {S::kVacant, A::kNone}},
    Cell{S::kBackoff, E::kDeadline, {S::kVacant, A::kNone}},
};

SlotMove expected(S from, E event, SlotFacts facts) {
  for (const Cell& cell : kTable) {
    if (cell.from != from || cell.event != event) continue;
    if (facts.backoff && cell.if_backoff) return *cell.if_backoff;
    if (facts.stop_steps_left && cell.if_steps_left) return *cell.if_steps_left;
    return cell.move;
  }
  return {from, A::kBug};
}

template <class Function>
void for_every_cell(Function function) {
  for (const auto& [state, state_text] : kSlotStateText.entries) {
    for (const auto& [event, event_text] : kSlotEventText.entries) {
      for (const unsigned bits : {0U, 1U, 2U, 3U}) {
        const SlotFacts facts{.backoff = (bits & 1U) != 0, .stop_steps_left = (bits & 2U) != 0};
        INFO(state_text << " on " << event_text << ", backoff " << facts.backoff << ", steps left "
                        << facts.stop_steps_left);
        function(state, event, facts);
      }
    }
  }
}

// A worker holds the slot in these, or is just being forked.
bool is_held(S state) {
  return state == S::kStarting || state == S::kServing || state == S::kTaken || state == S::kDraining ||
         state == S::kKilling;
}

}  // namespace

TEST_CASE("every event in every state does what the table says, and an empty cell is a bug that changes nothing") {
  for_every_cell([](S state, E event, SlotFacts facts) {
    const SlotMove move = next_move(state, event, facts);
    const SlotMove wanted = expected(state, event, facts);
    CHECK(kSlotStateText.text(move.state) == kSlotStateText.text(wanted.state));
    CHECK(static_cast<int>(move.action) == static_cast<int>(wanted.action));
  });
}

TEST_CASE("only a vacant slot forks, and only when it is wanted up") {
  for_every_cell([](S state, E event, SlotFacts facts) {
    if (next_move(state, event, facts).action == A::kFork) CHECK((state == S::kVacant && event == E::kWantUp));
  });
}

TEST_CASE("an exit is a burial wherever a worker holds the slot, and nothing else is one") {
  for_every_cell([](S state, E event, SlotFacts facts) {
    const A action = next_move(state, event, facts).action;
    const bool buries = action == A::kBury || action == A::kBuryAndBackoff;
    CHECK(buries == (event == E::kExited && is_held(state)));
  });
}

TEST_CASE("a slot is let go only by a burial, a fork that failed, or from backoff") {
  for_every_cell([](S state, E event, SlotFacts facts) {
    const SlotMove move = next_move(state, event, facts);
    if (is_held(state) && !is_held(move.state)) CHECK((event == E::kExited || event == E::kForkFailed));
  });
}

TEST_CASE("a slot that drains or is killed never serves again") {
  for_every_cell([](S state, E event, SlotFacts facts) {
    const S to = next_move(state, event, facts).state;
    if (state == S::kDraining) CHECK((to == S::kDraining || to == S::kKilling || to == S::kVacant));
    if (state == S::kKilling) CHECK((to == S::kKilling || to == S::kVacant || to == S::kBackoff));
  });
}

TEST_CASE("a worker that is taken is buried without a pause, however it ended") {
  for (const bool backoff : {false, true})
    CHECK(next_move(S::kTaken, E::kExited, {.backoff = backoff}) == SlotMove{S::kVacant, A::kBury});
}

TEST_CASE("states and events have names of their own") {
  CHECK(kSlotStateText.value("draining") == S::kDraining);
  CHECK(kSlotEventText.value("channel_eof") == E::kChannelEof);
  CHECK_FALSE(kSlotEventText.value("nothing").has_value());
}

}  // namespace prong::master
