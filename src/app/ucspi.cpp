#include "app/ucspi.hpp"

#include <fmt/format.h>

#include <string_view>

#include "net/address.hpp"

namespace prong::app {
namespace {

using Variables = std::vector<std::pair<std::string, std::string>>;

// "/path" or "@name"; empty for a socket without a name.
std::string unix_name(const os::SocketAddress& address) {
  constexpr std::string_view kPrefix = "unix:";
  const std::string text = net::to_text(address);
  return text.starts_with(kPrefix) ? text.substr(kPrefix.size()) : std::string{};
}

void add_unix(Variables& variables, int connection, const os::SocketAddress& local, const os::SocketAddress& peer) {
  variables.emplace_back("PROTO", "UNIX");
  if (std::string name = unix_name(local); !name.empty()) variables.emplace_back("UNIXLOCALPATH", std::move(name));
  if (std::string name = unix_name(peer); !name.empty()) variables.emplace_back("UNIXREMOTEPATH", std::move(name));
  const auto credentials = os::peer_credentials(connection);
  if (!credentials) return;
  variables.emplace_back("UNIXREMOTEPID", fmt::format("{}", credentials->pid));
  variables.emplace_back("UNIXREMOTEEUID", fmt::format("{}", credentials->uid));
  variables.emplace_back("UNIXREMOTEEGID", fmt::format("{}", credentials->gid));
}

}  // namespace

Variables ucspi_variables(int connection, const os::SocketAddress& peer) {
  Variables variables;
  variables.reserve(kMostUcspiVariables);
  const auto local = os::local_address(connection);
  if (peer.family() == AF_UNIX) {
    add_unix(variables, connection, local.value_or(os::SocketAddress{}), peer);
    return variables;
  }
  variables.emplace_back("PROTO", "TCP");
  if (local) {
    variables.emplace_back("TCPLOCALIP", net::host_text(*local));
    variables.emplace_back("TCPLOCALPORT", fmt::format("{}", net::port_of(*local)));
  }
  variables.emplace_back("TCPREMOTEIP", net::host_text(peer));
  variables.emplace_back("TCPREMOTEPORT", fmt::format("{}", net::port_of(peer)));
  return variables;
}

}  // namespace prong::app
