#include "config/check_exec.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/escape.hpp"
#include "base/suggest.hpp"
#include "config/schema.hpp"
#include "config/value.hpp"
#include "os/signals.hpp"

namespace prong::config {
namespace {

// What prongd itself says to a program: docs/exec.md.
constexpr std::array<std::string_view, 14> kOwnVariables{
    "PROTO",         "TCPLOCALIP",     "TCPLOCALPORT",   "TCPREMOTEIP",    "TCPREMOTEPORT",
    "UNIXLOCALPATH", "UNIXREMOTEPATH", "UNIXREMOTEPID",  "UNIXREMOTEEUID", "UNIXREMOTEEGID",
    "LISTEN_FDS",    "LISTEN_PID",     "LISTEN_FDNAMES", "NOTIFY_SOCKET",
};

// Why the environment cannot have a variable of that name; nothing when it can (environ(7)).
std::optional<Error> why_no_variable(std::string_view name) {
  if (name.empty() || name.contains('=') || name.contains('\0'))
    return Error{.message = fmt::format("{} is no name of a variable", in_quotes(name)),
                 .hint = "a name is not empty and has no ="};
  if (std::ranges::find(kOwnVariables, name) != kOwnVariables.end())
    return Error{.message = fmt::format("the variable {} is set by prongd itself", in_quotes(name)),
                 .hint = "leave it out"};
  return std::nullopt;
}

// What to do about a key that does not fit.
std::string hint_for(const Key& key, const ExecConfig& exec, bool of_pool) {
  if (!of_pool) return std::string{"it is a key of the other style"};
  if (key.name == "workers") return "spare and max_connections in its exec table say how many programs there are";
  if (key.name == "max_connections" && exec.style == ExecStyle::kConnection) return "write it in the exec table";
  return "a program does this by itself, or not at all; leave the key out";
}

class ExecChecker {
 public:
  ExecChecker(const Config& config, const PoolConfig& pool, const ExecConfig& exec,
              std::vector<Diagnostic>& diagnostics)
      : config_(config), pool_(pool), exec_(exec), table_("pool." + pool.name + ".exec"), diagnostics_(diagnostics) {}

  void run() {
    check_command();
    for (const auto& [name, value] : exec_.env) check_variable(name, value);
    for (std::size_t i = 0; i < exec_.pass_env.size(); ++i) {
      // An empty one was of another type, which the reader has told.
      auto wrong = exec_.pass_env[i].empty() ? std::nullopt : why_no_variable(exec_.pass_env[i]);
      if (wrong) complain(fmt::format("pass_env[{}]", i), std::move(wrong->message), std::move(wrong->hint));
    }
    check_numbers();
    check_stop_signal();
  }

 private:
  void complain(const std::string& key, std::string message, std::string hint = {}) {
    const Position* written = config_.position_of(table_ + '.' + key);
    diagnostics_.push_back({.position = written != nullptr ? *written : pool_.position,
                            .message = std::move(message),
                            .hint = std::move(hint)});
  }

  void check_command() {
    if (exec_.command.empty()) return;  // which the reader has told
    if (exec_.command.front().empty())
      complain("command[0]", "the command is empty", "write the name or the path of a program");
    for (std::size_t i = 0; i < exec_.command.size(); ++i)
      if (exec_.command[i].contains('\0'))
        complain(fmt::format("command[{}]", i), fmt::format("{} has a NUL byte", in_quotes(exec_.command[i])),
                 "no argument of a program can have one");
  }

  void check_variable(const std::string& name, const std::string& value) {
    const std::string key = "env." + escaped(name);
    if (auto wrong = why_no_variable(name)) complain(key, std::move(wrong->message), std::move(wrong->hint));
    if (value.contains('\0'))
      complain(key, fmt::format("{} has a NUL byte", in_quotes(value)), "no variable can have one");
  }

  void check_numbers() {
    if (exec_.style != ExecStyle::kConnection) return;
    if (exec_.spare > exec_.max_connections)
      complain(config_.position_of(table_ + ".spare") != nullptr ? "spare" : "max_connections",
               fmt::format("{0}.spare = {1} is more than {0}.max_connections = {2}", table_, exec_.spare,
                           exec_.max_connections),
               "spare workers count as well");
  }

  void check_stop_signal() {
    const auto number = os::signal_number(exec_.stop_signal);
    if (number && *number != SIGSTOP && *number != SIGCONT) return;
    std::string_view name = exec_.stop_signal;
    if (name.starts_with("SIG")) name.remove_prefix(3);
    const std::string_view meant = number ? std::string_view{} : nearest(name, os::signal_names());
    complain("stop_signal",
             fmt::format("{}.stop_signal = {} {}", table_, in_quotes(exec_.stop_signal),
                         number ? "ends no program" : "is no signal"),
             meant.empty() ? R"(write for example "TERM", "INT" or "QUIT")"
                           : fmt::format("did you mean {}?", in_quotes(meant)));
  }

  const Config& config_;
  const PoolConfig& pool_;
  const ExecConfig& exec_;
  std::string table_;
  std::vector<Diagnostic>& diagnostics_;
};

}  // namespace

void check_keys_fit(const Config& config, const PoolConfig& pool, std::vector<Diagnostic>& diagnostics) {
  const auto* exec = std::get_if<ExecConfig>(&pool.app);
  if (exec == nullptr) return;
  const std::string table = "pool." + pool.name;
  const auto check = [&](const Section& section, const void* owner, const std::string& prefix, bool of_pool) {
    for (const Key& key : section.keys) {
      const std::string name = fmt::format("{}.{}", prefix, key.name);
      const Position* written = config.position_of(name);
      if (written == nullptr || section.fits(key, owner)) continue;
      diagnostics.push_back(
          {.position = *written,
           .message = fmt::format("{} does not fit a pool that runs a program{}", name,
                                  of_pool && key.name != "workers"
                                      ? ""
                                      : fmt::format(" in style {}", in_quotes(kExecStyleText.text(exec->style)))),
           .hint = hint_for(key, *exec, of_pool)});
    }
  };
  const Section& pool_section = *root_section().find("pool")->section;
  check(pool_section, &pool, table, true);
  check(kExecSection, exec, table + ".exec", false);
}

void check_exec(const Config& config, const PoolConfig& pool, const ExecConfig& exec,
                std::vector<Diagnostic>& diagnostics) {
  ExecChecker{config, pool, exec, diagnostics}.run();
}

}  // namespace prong::config
