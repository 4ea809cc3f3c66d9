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

bool is_request(ipc::ThreadPhase phase) {
  return phase == ipc::ThreadPhase::kRequest || phase == ipc::ThreadPhase::kBody;
}

// Why it was killed names the call that it was killed for.
bool names_its_call(const Death& death) {
  return !death.killed_because.empty() && death.killed_code == MessageCode::kWorkerHung;
}

// What it was in when it died: the calls of the application, and how many requests besides. The module is named with
// the first of them.
std::string last_calls(const Death& death, const std::vector<LastCall>& calls) {
  std::uint64_t more = death.counts ? death.counts->inside() : 0;
  std::vector<std::string> named;
  for (const LastCall& call : calls) {
    if (named.size() == kMostCalls) break;
    const std::string thread = death.threads.size() == 1 ? "" : fmt::format(" (thread {})", call.thread);
    const std::string_view module = named.empty() ? std::string_view{death.module} : std::string_view{};
    named.push_back(call_text(*call.reading, module, death.now) + thread);
    if (is_request(call.reading->phase) && more > 0) --more;
  }
  if (names_its_call(death)) named.clear();
  if (named.empty()) return more == 0 ? std::string{} : fmt::format("{} requests were not answered yet", more);
  return fmt::format("in {}{}", fmt::join(named, ", "), more == 0 ? "" : fmt::format(", and {} requests more", more));
}

// Why, as far as it is known, from the surest source to the least sure.
std::string cause_of(const Death& death) {
  if (!death.start_failure.empty()) return death.start_failure;
  if (!death.killed_because.empty()) return fmt::format("killed by the master: {}", death.killed_because);
  if (!death.retired_because.empty()) return death.retired_because;
  // A module's is told in module_part().
  if (death.state == SlotState::kStarting && death.module.empty()) return "it was not ready yet";
  if (death.out_of_memory)
    return "by the kernel's out-of-memory killer: a limit of its cgroup (MemoryMax=) or the machine's was reached; "
           "see dmesg";
  if (death.status.signalled && death.status.code == SIGKILL)
    return "the master did not send it: an operator, or the kernel's out-of-memory killer (see dmesg)";
  return {};
}

// Code of a module that was changed while it ran: there is none, or the middle of another instruction.
bool may_be_by_overwriting(const os::ExitStatus& status) {
  return status.signalled && (status.code == SIGBUS || status.code == SIGSEGV || status.code == SIGILL);
}

// What an unexpected death has to do with the module that the worker ran.
std::string module_part(const Death& death, bool is_named) {
  if (death.module.empty() || !death.retired_because.empty()) return {};
  const bool told_why = !death.start_failure.empty() || !death.killed_because.empty();
  // The worker itself leaves on its own only with a word, or when it was asked to.
  const bool by_exit = !death.status.signalled && !told_why;
  const bool in_start = death.state == SlotState::kStarting ||
                        (!death.killed_because.empty() && death.killed_code == MessageCode::kWorkerStartTooSlow);
  std::string text;
  if (in_start) text = told_why ? "in" : "while it started, in";
  if (!text.empty())
    text += fmt::format(" module {}{}", death.module, by_exit ? ", which called exit()" : "");
  else if (by_exit)
    text = is_named ? "the module, or a library that it uses, called exit()"
                    : fmt::format("module {}, or a library that it uses, called exit()", death.module);
  else if (!is_named && !told_why)
    text = fmt::format("it ran module {}", death.module);
  // Most errors of loading name the file themselves.
  if (death.start_failure.contains(death.module)) text.clear();
  if (death.module_overwritten && may_be_by_overwriting(death.status))
    text += fmt::format(
        "{}the file of the module was overwritten in place while it was mapped: replace it with install(1) or mv(1)",
        text.empty() ? "" : "; ");
  return text;
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

std::string call_text(const ipc::ThreadReading& reading, std::string_view module, os::TimePoint now) {
  std::string work = reading.work();
  if (work.size() > kMostCallText) work = work.substr(0, kMostCallText) + "...";
  return fmt::format("{}{}{} for {}", work, module.empty() ? "" : " of module ", module,
                     to_rough_text(now - reading.since));
}

Obituary write_obituary(const Death& death) {
  Obituary obituary;
  const bool expected = is_expected(death);
  if (!expected) obituary.code = code_of(death);
  obituary.cause = cause_word(death, expected);
  obituary.text = life_of(death);
  const auto add = [&obituary](std::string_view part) {
    if (!part.empty()) obituary.text += fmt::format("; {}", part);
  };
  const std::vector<LastCall> calls = calls_of(death);
  add(last_calls(death, calls));
  add(cause_of(death));
  if (!expected) add(module_part(death, !calls.empty()));
  if (!death.python_stack.empty()) obituary.text += fmt::format("; in {}", death.python_stack);
  return obituary;
}

}  // namespace prong::master
