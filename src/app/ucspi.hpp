// What a program is told about its connection: the variables of UCSPI, by which inetd-style programs know their client
// since tcpserver.
//
// TCP: PROTO=TCP and TCP{LOCAL,REMOTE}{IP,PORT}, as tcp-environ(5) of ucspi-tcp has them. No names: a look-up would
// make the client wait for somebody's DNS. IPv6 has PROTO=TCP too, as with s6-tcpserver6 (its page): programs build the
// names of the other variables from PROTO. An IPv4 client of an IPv6 socket has its IPv4 address.
// UNIX: PROTO=UNIX, UNIXLOCALPATH, UNIXREMOTEPATH and UNIXREMOTE{PID,EUID,EGID}, as ucspi-unix names them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "os/socket.hpp"

namespace prong::app {

// Enough room for what ucspi_variables() returns.
inline constexpr std::size_t kMostUcspiVariables = 6;

// `connection` is asked for its local address and, of a UNIX socket, for its peer's credentials: two system calls at
// the most. What cannot be found out is left out.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> ucspi_variables(int connection,
                                                                               const os::SocketAddress& peer);

}  // namespace prong::app
