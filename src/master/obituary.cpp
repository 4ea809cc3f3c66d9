#include "master/obituary.hpp"

#include <fmt/format.h>

#include <csignal>

#include "base/units.hpp"

namespace prong::master {
namespace {

bool is_expected(const Death& death) {
  const bool clean = !death.status.signalled && death.status.code == 0;
  return clean && (death.state == SlotState::kDraining || !death.retired_because.empty());
}

std::string life_of(const Death& death) {
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
  if (death.counts.open_connections > 0)
    obituary.text += fmt::format(", {} connections open", death.counts.open_connections);
  if (const std::string cause = cause_of(death); !cause.empty()) obituary.text += fmt::format("; {}", cause);
  return obituary;
}

}  // namespace prong::master
