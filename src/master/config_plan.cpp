#include "master/config_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "config/check.hpp"
#include "log/access_format.hpp"
#include "net/network.hpp"
#include "os/users.hpp"

namespace prong::master {
namespace {

// Whether a client of the pool always sends before the server does, so that a connection without bytes is not worth
// waking anybody for. What a program or a stream expects is not known.
bool client_speaks_first(const config::AppConfig& app) {
  return !std::holds_alternative<config::ExecConfig>(app) && !config::runs_streams(app);
}

net::ListenOptions to_options(const config::ListenerConfig& from, const config::AppConfig& app) {
  constexpr Duration kDeferAccept = std::chrono::seconds{1};
  net::ListenOptions options{
      .backlog = from.backlog,
      .reuse_address = from.reuse_address,
      .v6only = from.v6only,
      .defer_accept = from.defer_accept.value_or(client_speaks_first(app) ? kDeferAccept : Duration::zero()),
      .keepalive = from.keepalive,
      .nodelay = from.nodelay,
      .free_bind = from.free_bind,
      .receive_buffer = from.receive_buffer,
      .send_buffer = from.send_buffer,
      .mode = from.mode,
      .owner = std::nullopt,
      .group = std::nullopt};
  // That they exist is config::check()'s finding; a failure here would only repeat it.
  if (!from.owner.empty()) {
    if (auto user = os::find_user(from.owner)) options.owner = user->uid;
  }
  if (!from.group.empty()) {
    if (auto group = os::find_group(from.group)) options.group = *group;
  }
  return options;
}

class ListenerPlanner {
 public:
  explicit ListenerPlanner(std::vector<config::Diagnostic>& diagnostics) : diagnostics_(&diagnostics) {}

  std::vector<PlannedListener> plan(const config::PoolConfig& pool) {
    std::vector<PlannedListener> planned;
    for (const config::ListenerConfig& listener : pool.listen) {
      if (listener.address.empty() && !diagnostics_->empty()) continue;  // the reader has told what is wrong with it
      auto address = net::parse_address(listener.address);
      if (!address) {
        diagnostics_->push_back({listener.position, address.error().message, address.error().hint});
        continue;
      }
      note_duplicate(*address, listener);
      planned.push_back({.address = std::move(*address), .options = to_options(listener, pool.app)});
    }
    return planned;
  }

 private:
  // Equal addresses that are written in different ways; equal texts are config::check()'s finding.
  void note_duplicate(const net::Address& address, const config::ListenerConfig& listener) {
    const auto [first, added] = seen_.try_emplace(address.text, &listener);
    if (added || first->second->address == listener.address) return;
    diagnostics_->push_back({listener.position,
                             fmt::format(R"("{}" is the same address as "{}" at {})", listener.address,
                                         first->second->address, config::to_text(first->second->position)),
                             "a listener belongs to one pool"});
  }

  std::vector<config::Diagnostic>* diagnostics_;
  std::map<std::string, const config::ListenerConfig*> seen_;
};

// Formats that are no format; log/ knows which.
void check_access_log(const config::Config& config, const config::PoolConfig& pool,
                      std::vector<config::Diagnostic>& diagnostics) {
  if (!pool.access_log) return;
  auto format = log::AccessFormat::parse(pool.access_log->format);
  if (format) return;
  const std::string name = fmt::format("pool.{}.access_log.format", pool.name);
  const config::Position* position = config.position_of(name);
  if (position == nullptr) return;  // its default is good, so the reader has found the written one wrong
  diagnostics.push_back({*position, fmt::format("{}: {}", name, format.error().message), format.error().hint});
}

// Proxies that are no addresses; net/ knows which.
void check_proxies(const config::Config& config, const config::PoolConfig& pool,
                   std::vector<config::Diagnostic>& diagnostics) {
  for (std::size_t i = 0; i < pool.trusted_proxies.size(); ++i) {
    const std::string& proxy = pool.trusted_proxies[i];
    if (proxy.empty() || proxy == config::kUnixPeers) continue;  // an empty one was wrong, which the reader has told
    auto network = net::Network::parse(proxy);
    if (network) continue;
    const config::Position* const written =
        config.position_of(fmt::format("pool.{}.trusted_proxies[{}]", pool.name, i));
    diagnostics.push_back({written != nullptr ? *written : pool.position,
                           fmt::format("pool.{}.trusted_proxies: {}", pool.name, network.error().message),
                           network.error().hint});
  }
}

// That user and group exist is config::check()'s finding; a failure here would only repeat it.
std::optional<os::Identity> identity_of(const config::PoolConfig& pool) {
  if (pool.user.empty() && pool.group.empty()) return std::nullopt;
  auto identity = os::find_identity(pool.user, pool.group);
  if (!identity) return std::nullopt;
  return *std::move(identity);
}

}  // namespace

Planned plan_config(const ConfigSource& source) {
  config::Loaded loaded = source();
  Planned planned;
  planned.diagnostics = std::move(loaded.diagnostics);
  if (!loaded.config) return planned;
  auto found = config::check(*loaded.config);
  planned.diagnostics.insert(planned.diagnostics.end(), found.begin(), found.end());
  ListenerPlanner planner{planned.diagnostics};
  for (const config::PoolConfig& pool : loaded.config->pools) {
    planned.plan.listeners.push_back(planner.plan(pool));
    planned.plan.identities.push_back(identity_of(pool));
    check_access_log(*loaded.config, pool, planned.diagnostics);
    check_proxies(*loaded.config, pool, planned.diagnostics);
  }
  config::sort_diagnostics(planned.diagnostics, loaded.config->sources);
  planned.plan.config = std::move(loaded.config);
  return planned;
}

Planned plan_pool(const ConfigSource& source, const config::Config& current, const std::string& pool) {
  Planned whole = plan_config(source);
  if (!whole.diagnostics.empty()) return whole;
  const config::Config& found = *whole.plan.config;
  const auto next = std::ranges::find(found.pools, pool, &config::PoolConfig::name);
  if (next == found.pools.end()) {
    config::Diagnostic& missing = whole.diagnostics.emplace_back();
    missing.message = fmt::format("pool {} is not in the configuration any more", pool);
    missing.hint = "a reload of everything removes it";
    return whole;
  }
  auto mixed = std::make_shared<config::Config>(current);
  *std::ranges::find(mixed->pools, pool, &config::PoolConfig::name) = *next;
  mixed->sources = found.sources;
  const std::string table = fmt::format("pool.{}", pool);
  const auto is_of_pool = [&table](const auto& entry) {
    return entry.first == table || entry.first.starts_with(table + '.');
  };
  std::erase_if(mixed->positions, is_of_pool);
  for (const auto& entry : found.positions)
    if (is_of_pool(entry)) mixed->positions.insert(entry);
  Planned planned = plan_config([&mixed] { return config::Loaded{.config = mixed, .diagnostics = {}}; });
  planned.plan.only = pool;
  return planned;
}

}  // namespace prong::master
