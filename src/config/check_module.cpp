#include "config/check_module.hpp"

#include <fmt/format.h>

#include "config/files.hpp"
#include "config/value.hpp"

namespace prong::config {

void check_module(const PoolConfig& pool, const ModuleConfig& module, std::vector<Diagnostic>& diagnostics) {
  if (module.path.empty()) return;  // which the reader has told
  const auto why = why_no_file(module.path);
  if (!why) return;
  diagnostics.push_back({.position = module.path_position.file.empty() ? pool.position : module.path_position,
                         .message = fmt::format("cannot load {}: {}", in_quotes(module.path), *why),
                         .hint = "write the path of the module's shared object, such as \"hello.so\""});
}

}  // namespace prong::config
