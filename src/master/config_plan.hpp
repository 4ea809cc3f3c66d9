// From the text of a configuration to what can be bound and started, with every error at its line.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "config/config.hpp"
#include "config/diagnostic.hpp"
#include "config/reader.hpp"
#include "net/address.hpp"
#include "net/listener.hpp"
#include "os/users.hpp"

namespace prong::master {

struct PlannedListener {
  net::Address address;
  net::ListenOptions options;
};

// A configuration that was found good, with its listeners worked out: listeners[i][j] is pools[i].listen[j].
struct ConfigPlan {
  std::shared_ptr<const config::Config> config;
  std::vector<std::vector<PlannedListener>> listeners;
  std::vector<std::optional<os::Identity>> identities;  // of pools[i]; nothing: its workers stay who the master is
  std::string only;  // the name of the one pool that changes; empty: all are started anew
};

struct Planned {
  ConfigPlan plan;                              // of use only without diagnostics
  std::vector<config::Diagnostic> diagnostics;  // all errors, in the order of the files
};

// How the configuration is read, at boot and at each reload: from its file, or made of --static.
using ConfigSource = std::function<config::Loaded()>;

// Reads and checks everything that can be checked without changing anything: what --check does, and the first step of
// a reload. Blocks on files.
[[nodiscard]] Planned plan_config(const ConfigSource& source);
// The same for a reload of one pool: `current`, with that pool as the source has it. All of the source must be good,
// and the mixture too.
[[nodiscard]] Planned plan_pool(const ConfigSource& source, const config::Config& current, const std::string& pool);

}  // namespace prong::master
