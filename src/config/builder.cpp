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

std::uint32_t default_threads() {
  const PoolConfig pool;
  return pool.threads;
}

Config for_wsgi(const WsgiOptions& options) {
  const Position wsgi_option{.file = "--wsgi"};
  const Position listen_option{.file = "--listen"};
  const std::string directory = os::working_directory();
  PoolConfig pool;
  pool.name = "app";
  pool.position = wsgi_option;
  pool.listen.push_back(ListenerConfig{.address = options.address, .position = listen_option});
  pool.workers = options.workers;
  pool.concurrency = Concurrency::kThread;
  pool.threads = options.threads;
  pool.app = WsgiConfig{.app = options.app,
                        .path = {directory},
                        .chdir = directory,
                        .reload = options.reload,
                        .debug_errors = options.debug_errors,
                        .app_position = wsgi_option};
  Config config;
  config.pools.push_back(std::move(pool));
  return config;
}

}  // namespace prong::config
