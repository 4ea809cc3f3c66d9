// prongd's command line. The only room of CLI11.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "config/builder.hpp"

namespace prong {

// What the command line asks for.
enum class Action : std::uint8_t {
  kServe,
  kCheck,
  kPrintConfig,
  kDumpSchema,
  kDumpConfigReference,
  kDumpSignalReference,
  kDumpMessageReference,
  kDumpManual,
};

struct Options {
  Action action = Action::kServe;
  std::string config_path;         // empty with --static, --wsgi and --module
  bool config_is_default = false;  // nobody named config_path
  std::string static_root;
  std::string static_address = std::string{config::kDefaultAddress};
  config::WsgiOptions wsgi;        // no app: not asked for
  config::ModuleArguments module;  // no path: not asked for
};

// The options, or the exit status when there is nothing more to do: help and version have been printed (0), or what is
// wrong has been (2).
[[nodiscard]] std::variant<Options, int> parse_options(int argc, char** argv);

}  // namespace prong
