// A worker of an exec pool in style "listener": becomes a program that accepts by itself from the pool's sockets, by
// the protocol of systemd's socket activation (sd_listen_fds(3)).
#pragma once

#include <string>

#include "app/program.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// LISTEN_FDNAMES: the name that systemd gave a socket, else the pool's; separated by colons. Pure.
[[nodiscard]] std::string names_of_sockets(const ipc::Inheritance& inheritance);

// Returns only when the program could not be executed, which the master has been told: the exit status.
[[nodiscard]] int become_listener(const ipc::Inheritance& inheritance, ipc::Channel& channel, app::Program program);

}  // namespace prong::worker
