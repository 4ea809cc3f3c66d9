#include "master/obituary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "os/signals.hpp"

namespace prong::master {
namespace {

// One line that a terminal can still show.
constexpr std::size_t kMostCalls = 4;
constexpr std::size_t kMostCallText = 200;

// With 128 + N a program, or the shell that runs it, tells that it ended because of signal N (POSIX, shell command
// language, exit status).
bool is_answer_to(int signal, const os::ExitStatus& status) {
  return status.signalled ? status.code == signal : status.code == 128 + signal;
}

bool is_expected(const Death& death) {
  if (!death.start_failure.empty() && death.program != ProgramKind::kNone) return false;
  if (death.asked_by != 0 && is_answer_to(death.asked_by, death.status)) return true;
  switch (death.program) {
    case ProgramKind::kNone:
      break;
    case ProgramKind::kConnection:
      // Whatever status it has chosen is between it and its client. PIPE: the client left before it had said all.
      return !death.status.signalled || death.status.code == SIGPIPE;
    case ProgramKind::kListener:
      return death.asked_by != 0 && !death.status.signalled && death.status.code == 0;
  }
  const bool clean = !death.status.signalled && death.status.code == 0;
  return clean && (death.state == SlotState::kDraining || !death.retired_because.empty());
}

std::string life_of(const Death& death) {
  if (death.program != ProgramKind::kNone)
    return fmt::format("program{}{} {} after {}", death.client.empty() ? "" : " for ", death.client,
                       death.status.text(), to_rough_text(death.lived));
  const std::string end = fmt::format("{} after {}", death.status.text(), to_rough_text(death.lived));
  if (!death.counts) return end + ", what it had counted is overwritten";
  std::string life =
      fmt::format("{}, {} connections, {} requests", end, death.counts->connections, death.counts->requests);
  if (death.counts->open_connections > 0) life += fmt::format(", {} connections open", death.counts->open_connections);
  return life;
}

// A call of the application that was under way, and on which thread, from 1.
struct LastCall {
  std::size_t thread = 0;
  const ipc::ThreadReading* reading = nullptr;
};

// "GET /checkout for 3.2s (thread 2)"
std::string call_text(const Death& death, const LastCall& call) {
  std::string work = call.reading->work();
  if (work.size() > kMostCallText) work = work.substr(0, kMostCallText) + "...";
  const std::string thread = death.threads.size() == 1 ? "" : fmt::format(" (thread {})", call.thread);
  return fmt::format("{} for {}{}", work, to_rough_text(death.now - call.reading->since), thread);
}

// The longest first.
std::vector<LastCall> calls_of(const Death& death) {
  std::vector<LastCall> calls;
  std::size_t number = 0;
  for (const auto& thread : death.threads) {
    ++number;
    if (thread && thread->phase != ipc::ThreadPhase::kIdle) calls.push_back({.thread = number, .reading = &*thread});
  }
  std::ranges::stable_sort(calls, {}, [](const LastCall& call) { return call.reading->since; });
  return calls;
}

// What it was in when it died: the calls of the application, and how many requests besides.
std::string last_calls(const Death& death) {
  std::uint64_t more = death.counts ? death.counts->inside() : 0;
  std::vector<std::string> named;
  for (const LastCall& call : calls_of(death)) {
    if (named.size() == kMostCalls) break;
    named.push_back(call_text(death, call));
    if (call.reading->phase != ipc::ThreadPhase::kStream && more > 0) --more;
  }
  if (named.empty()) return more == 0 ? std::string{} : fmt::format("{} requests were not answered yet", more);
  return fmt::format("in {}{}", fmt::join(named, ", "), more == 0 ? "" : fmt::format(", and {} requests more", more));
}

// Why, as far as it is known, from the surest source to the least sure.
std::string cause_of(const Death& death) {
  if (!death.start_failure.empty()) return death.start_failure;
  if (!death.killed_because.empty()) return fmt::format("killed by the master: {}", death.killed_because);
  if (!death.retired_because.empty()) return death.retired_because;
  if (death.state == SlotState::kStarting) return "it was not ready yet";
  if (death.out_of_memory)
    return "by the kernel's out-of-memory killer: a limit of its cgroup (MemoryMax=) or the machine's was reached; "
           "see dmesg";
  if (death.status.signalled && death.status.code == SIGKILL)
    return "the master did not send it: an operator, or the kernel's out-of-memory killer (see dmesg)";
  return {};
}

bool is_crash(int signal) {
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGABRT:
    case SIGTRAP:
    case SIGSYS:
      return true;
    default:
      return false;
  }
}

// Of an unexpected death; in the order of cause_of().
MessageCode code_of(const Death& death) {
  if (!death.start_failure.empty())
    return death.program == ProgramKind::kNone ? MessageCode::kWorkerCannotStart : MessageCode::kProgramNotExecuted;
  if (!death.killed_because.empty()) return death.killed_code;
  if (death.state == SlotState::kStarting) return MessageCode::kWorkerDiedInStart;
  if (!death.status.signalled) return MessageCode::kWorkerExited;
  if (death.status.code == SIGKILL) return MessageCode::kWorkerKilled;
  return is_crash(death.status.code) ? MessageCode::kWorkerCrashed : MessageCode::kWorkerEndedBySignal;
}

std::string_view word_of(Departure departure) {
  switch (departure) {
    case Departure::kNone:
      return {};
    case Departure::kStop:
      return "stop";
    case Departure::kReload:
      return "reload";
    case Departure::kRecycle:
      return "recycle";
    case Departure::kScale:
      return "scale";
    case Departure::kTerminated:
      return "terminated";
    case Departure::kRequestTimeout:
      break;
  }
  return "request_timeout";
}

// Of what the master kills workers for.
std::string_view word_of(MessageCode killed_code) {
  if (killed_code == MessageCode::kWorkerStartTooSlow) return "start_timeout";
  if (killed_code == MessageCode::kWorkerStopTooSlow) return "graceful_timeout";
  if (killed_code == MessageCode::kWorkerLost) return "channel";
  return "deadline";
}

std::string cause_word(const Death& death, bool expected) {
  // Whatever ended it then: it is a request that never came back.
  if (death.departure == Departure::kRequestTimeout) return std::string{word_of(death.departure)};
  if (!death.killed_because.empty()) return std::string{word_of(death.killed_code)};
  if (!death.start_failure.empty()) return "start_failed";
  if (expected && death.departure != Departure::kNone) return std::string{word_of(death.departure)};
  if (expected) return "finished";
  if (death.out_of_memory) return "oom";
  if (death.status.signalled) return std::string{os::signal_name(death.status.code)};
  return fmt::format("exit_{}", death.status.code);
}

}  // namespace

std::string Obituary::text_with_code() const {
  return code ? fmt::format("{} [{}]", text, to_text(*code)) : text;
}

Obituary write_obituary(const Death& death) {
  Obituary obituary;
  const bool expected = is_expected(death);
  if (!expected) obituary.code = code_of(death);
  obituary.cause = cause_word(death, expected);
  obituary.text = life_of(death);
  if (const std::string calls = last_calls(death); !calls.empty()) obituary.text += fmt::format("; {}", calls);
  if (const std::string cause = cause_of(death); !cause.empty()) obituary.text += fmt::format("; {}", cause);
  if (!death.python_stack.empty()) obituary.text += fmt::format("; in {}", death.python_stack);
  return obituary;
}

}  // namespace prong::master
