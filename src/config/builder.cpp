#include "config/builder.hpp"

#include "config/files.hpp"
#include "os/execute.hpp"

namespace prong::config {

Config for_static(const std::string& directory, const std::string& address) {
  const Position static_option{.file = "--static"};
  const Position listen_option{.file = "--listen"};
  PoolConfig pool;
  pool.name = "static";
  pool.position = static_option;
  pool.listen.push_back(ListenerConfig{.address = address, .position = listen_option});
  pool.app = StaticConfig{.root = absolute_path(directory, os::working_directory()), .root_position = static_option};
  Config config;
  config.pools.push_back(std::move(pool));
  return config;
}

}  // namespace prong::config
