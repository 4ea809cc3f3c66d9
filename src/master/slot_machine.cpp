#include "master/slot_machine.hpp"

namespace prong::master {
namespace {

using State = SlotState;
using Event = SlotEvent;
using Action = SlotAction;

// One function for each row; `bug` is what an empty cell gives.
SlotMove from_vacant(Event event, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
      return {State::kStarting, Action::kFork};
    case Event::kWantDown:
      return {State::kVacant, Action::kNone};
    case Event::kForked:
    case Event::kForkFailed:
    case Event::kReady:
    case Event::kExited:
    case Event::kDeadline:
    case Event::kChannelEof:
    case Event::kTaken:
    case Event::kReturned:
      break;
  }
  return bug;
}

SlotMove from_starting(Event event, SlotFacts facts, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
      return {State::kStarting, Action::kNone};
    case Event::kForked:
      return {State::kStarting, Action::kArmStartDeadline};
    case Event::kForkFailed:
      return {State::kBackoff, Action::kArmBackoff};
    case Event::kReady:
      return {State::kServing, Action::kServe};
    case Event::kWantDown:
      return {State::kDraining, Action::kBeginStop};
    case Event::kExited:
      // A worker that died before it was ready always waits; the policy says so.
      return facts.backoff ? SlotMove{State::kBackoff, Action::kBuryAndBackoff}
                           : SlotMove{State::kVacant, Action::kBury};
    case Event::kDeadline:
    case Event::kChannelEof:
      return {State::kKilling, Action::kKill};
    case Event::kTaken:
    case Event::kReturned:
      break;
  }
  return bug;
}

SlotMove from_serving(Event event, SlotFacts facts, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
      return {State::kServing, Action::kNone};
    case Event::kTaken:
      return {State::kTaken, Action::kNone};
    case Event::kWantDown:
      return {State::kDraining, Action::kBeginStop};
    case Event::kExited:
      return facts.backoff ? SlotMove{State::kBackoff, Action::kBuryAndBackoff}
                           : SlotMove{State::kVacant, Action::kBury};
    case Event::kDeadline:
      return {State::kKilling, Action::kAbort};
    case Event::kChannelEof:
      return {State::kKilling, Action::kKill};
    case Event::kForked:
    case Event::kForkFailed:
    case Event::kReady:
    case Event::kReturned:
      break;
  }
  return bug;
}

// The worker is a program: what becomes of its channel, and how it exits, says nothing about the next one.
SlotMove from_taken(Event event, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
    case Event::kChannelEof:
      return {State::kTaken, Action::kNone};
    case Event::kReturned:
      return {State::kServing, Action::kNone};
    case Event::kWantDown:
      return {State::kDraining, Action::kBeginStop};
    case Event::kExited:
      return {State::kVacant, Action::kBury};
    case Event::kForked:
    case Event::kForkFailed:
    case Event::kReady:
    case Event::kTaken:
    case Event::kDeadline:
      break;
  }
  return bug;
}

SlotMove from_draining(Event event, SlotFacts facts, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
    case Event::kReady:  // it became ready while Stop was on its way
    case Event::kWantDown:
    case Event::kChannelEof:  // it closes the channel when it is about to exit
      return {State::kDraining, Action::kNone};
    case Event::kTaken:  // it accepted while Stop was on its way: from now on it is stopped as a program
      return {State::kDraining, Action::kBeginStop};
    case Event::kExited:
      return {State::kVacant, Action::kBury};
    case Event::kDeadline:
      return facts.stop_steps_left ? SlotMove{State::kDraining, Action::kNextStopStep}
                                   : SlotMove{State::kKilling, Action::kKill};
    case Event::kForked:
    case Event::kForkFailed:
    case Event::kReturned:
      break;
  }
  return bug;
}

SlotMove from_killing(Event event, SlotFacts facts, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
    case Event::kReady:
    case Event::kTaken:
    case Event::kWantDown:
    case Event::kChannelEof:
      return {State::kKilling, Action::kNone};
    case Event::kExited:
      return facts.backoff ? SlotMove{State::kBackoff, Action::kBuryAndBackoff}
                           : SlotMove{State::kVacant, Action::kBury};
    case Event::kDeadline:
      return {State::kKilling, Action::kKillAgain};
    case Event::kForked:
    case Event::kForkFailed:
    case Event::kReturned:
      break;
  }
  return bug;
}

SlotMove from_backoff(Event event, SlotMove bug) {
  switch (event) {
    case Event::kWantUp:
      return {State::kBackoff, Action::kNone};
    case Event::kWantDown:
    case Event::kDeadline:
      return {State::kVacant, Action::kNone};
    case Event::kForked:
    case Event::kForkFailed:
    case Event::kReady:
    case Event::kExited:
    case Event::kChannelEof:
    case Event::kTaken:
    case Event::kReturned:
      break;
  }
  return bug;
}

}  // namespace

SlotMove next_move(SlotState state, SlotEvent event, SlotFacts facts) {
  const SlotMove bug{state, Action::kBug};
  switch (state) {
    case State::kVacant:
      return from_vacant(event, bug);
    case State::kStarting:
      return from_starting(event, facts, bug);
    case State::kServing:
      return from_serving(event, facts, bug);
    case State::kTaken:
      return from_taken(event, bug);
    case State::kDraining:
      return from_draining(event, facts, bug);
    case State::kKilling:
      return from_killing(event, facts, bug);
    case State::kBackoff:
      return from_backoff(event, bug);
  }
  return bug;
}

}  // namespace prong::master
