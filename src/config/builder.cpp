#include "config/builder.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "config/files.hpp"
#include "config/schema.hpp"
#include "os/execute.hpp"

namespace prong::config {
namespace {

// "hello" for "./hello.so", "/usr/lib/libhello.so.1".
std::string pool_name_of(const std::string& path) {
  constexpr std::string_view kPrefix = "lib";
  constexpr std::string_view kSuffix = ".so";
  std::string_view name = path;
  name.remove_prefix(name.find_last_of('/') + 1);  // npos + 1 is 0
  if (const std::size_t end = name.rfind(kSuffix); end != std::string_view::npos && end > 0) name = name.substr(0, end);
  if (name.size() > kPrefix.size() && name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  std::string result{name.substr(0, kLongestPoolName)};
  std::ranges::replace_if(result, [](char c) { return !is_pool_name({&c, 1}); }, '_');
  return result.empty() ? "module" : result;
}

}  // namespace

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

Loaded for_module(const ModuleArguments& arguments) {
  const Position module_option{.file = "--module"};
  Loaded loaded{.config = std::make_shared<Config>(), .diagnostics = {}};
  PoolConfig pool;
  pool.name = pool_name_of(arguments.path);
  pool.position = module_option;
  pool.listen.push_back(ListenerConfig{.address = arguments.address, .position = {.file = "--listen"}});
  pool.workers = arguments.workers;
  pool.concurrency = arguments.concurrency;
  pool.threads = arguments.threads.value_or(pool.threads);
  // So that the check tells of one that has no meaning.
  if (arguments.threads) loaded.config->positions["pool." + pool.name + ".threads"] = {.file = "--threads"};
  pool.app = ModuleConfig{.path = absolute_path(arguments.path, os::working_directory()),
                          .protocol = arguments.protocol,
                          .options = read_option_arguments(arguments.options, loaded.diagnostics),
                          .path_position = module_option};
  loaded.config->pools.push_back(std::move(pool));
  return loaded;
}

}  // namespace prong::config
