// Workers of exec pools: after the same set-up as all others they become the user's program (design.md section 7).
//
// The program is looked for, checked and laid out here, before the worker says Ready, so that a command that cannot be
// executed is an error at start and at a reload. Then the styles part: exec_connection, exec_listener.
#pragma once

#include "base/error.hpp"
#include "config/config.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// The status of a worker that could prepare its program and not become it, as shells have it for a command that cannot
// be executed.
inline constexpr int kCannotExecute = 127;

// Runs after child_setup. The exit status of a worker that was told to stop before it became its program; the error
// says why it cannot start.
[[nodiscard]] Result<int> run_program(const ipc::Inheritance& inheritance, const config::PoolConfig& pool,
                                      const config::ExecConfig& exec, ipc::Channel& channel);

// Sends what must not get lost: waits while the channel is full.
[[nodiscard]] Result<void> send_surely(const ipc::Channel& channel, const ipc::Message& message);

}  // namespace prong::worker
