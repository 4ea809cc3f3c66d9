#include "master/obituary.hpp"

#include <fmt/format.h>

#include <csignal>

#include "base/units.hpp"

namespace prong::master {
namespace {

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
  return fmt::format("{} after {}, {} connections, {} requests", death.status.text(), to_rough_text(death.lived),
                     death.counts.connections, death.counts.requests);
}

// Why, as far as it is known, from the surest source to the least sure.
std::string cause_of(const Death& death) {
  if (!death.start_failure.empty()) return death.start_failure;
  if (!death.killed_because.empty()) return fmt::format("killed by the master: {}", death.killed_because);
  if (!death.retired_because.empty()) return death.retired_because;
  if (death.state == SlotState::kStarting) return "it was not ready yet";
  if (death.status.signalled && death.status.code == SIGKILL)
    return "the master did not send it: an operator, or the kernel's out-of-memory killer (see dmesg)";
  return {};
}

}  // namespace

Obituary write_obituary(const Death& death) {
  Obituary obituary;
  obituary.level = is_expected(death) ? log::Level::kInfo : log::Level::kError;
  obituary.text = life_of(death);
  if (death.counts.open_connections > 0 && death.program == ProgramKind::kNone)
    obituary.text += fmt::format(", {} connections open", death.counts.open_connections);
  if (const std::string cause = cause_of(death); !cause.empty()) obituary.text += fmt::format("; {}", cause);
  if (!death.python_stack.empty()) obituary.text += fmt::format("; in {}", death.python_stack);
  return obituary;
}

}  // namespace prong::master
