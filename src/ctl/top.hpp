// `prongctl top`: the scoreboard, live, on a terminal.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "ipc/control.hpp"

namespace prong::ctl {

// Until the operator ends it. `request`: what is asked again and again, each `interval`, at the first of these sockets
// that somebody listens on; a daemon that has gone is looked for until it is back. The error: there is no terminal, or
// no daemon was there at the start (its error_number is that of Connection::open()).
[[nodiscard]] Result<void> run_top(const std::vector<std::string>& sockets, const ipc::ControlRequest& request,
                                   std::chrono::milliseconds interval);

}  // namespace prong::ctl
