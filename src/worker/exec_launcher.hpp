// The child that becomes a pool's launcher of spares (ipc/launch.hpp): it has checked the program as every worker of an
// exec pool does, and hands everything over by an exec.
#pragma once

#include "app/program.hpp"
#include "config/config.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// Returns only when it failed; the error says why.
[[nodiscard]] Error become_launcher(const ipc::Inheritance& inheritance, const config::ExecConfig& exec,
                                    const ipc::Channel& channel, app::Program program);

}  // namespace prong::worker
