#include "worker/interpreter.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "app/interpreter.hpp"
#include "app/program.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "log/log.hpp"
#include "os/execute.hpp"
#include "os/forked_children.hpp"
#include "os/process.hpp"
#include "os/signals.hpp"
#include "worker/child_setup.hpp"

namespace prong::worker {
namespace {

// Nothing but what finds the module: it runs in any Python, however old, and prong_start says what is wrong with one.
constexpr const char* kBootstrap =
    "import sys; written = sys.dont_write_bytecode; sys.dont_write_bytecode = True; "
    "sys.path.insert(0, sys.argv[1]); import prong_start; prong_start.main(sys.argv[2:], written)";

Result<void> enter(const config::WsgiConfig& wsgi) {
  if (!wsgi.chdir.empty()) return os::change_directory(wsgi.chdir);
  if (!wsgi.path.empty()) return os::change_directory(wsgi.path.front());
  return {};
}

// What print() says, and what a dying interpreter has to say, becomes lines of the process log.
Result<void> redirect_output(const ipc::Inheritance& inheritance) {
  if (inheritance.stderr_fd < 0) return {};
  for (const int target : {STDOUT_FILENO, STDERR_FILENO})
    if (auto placed = os::place_descriptor(inheritance.stderr_fd, target); !placed) return placed;
  return {};
}

log::Settings log_settings(const ipc::ExecRecord& record) {
  return {.target = static_cast<log::Target>(record.log_target),
          .path = record.log_path,
          .level = static_cast<log::Level>(record.log_level),
          .color = static_cast<log::Color>(record.log_color)};
}

Result<ipc::ExecRecord> make_record(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  const log::Handover handed = log::handover();
  config::Config config;
  config.pools.push_back(pool);
  ipc::ExecRecord record{.inheritance = inheritance, .config = config::to_toml(config), .log_fd = handed.fd};
  record.log_target = static_cast<std::uint64_t>(handed.settings.target);
  record.log_level = static_cast<std::uint64_t>(handed.settings.level);
  record.log_color = static_cast<std::uint64_t>(handed.settings.color);
  record.log_path = handed.settings.path;
  if (handed.fd == STDERR_FILENO) {
    auto copy = os::duplicate(STDERR_FILENO);
    if (!copy) return failure(std::move(copy.error()));
    record.log_fd = *copy;
  }
  return record;
}

}  // namespace

Error become_interpreter(const ipc::Inheritance& inheritance, const config::PoolConfig& pool,
                         const config::WsgiConfig& wsgi, ipc::Channel& channel) {
  if (auto entered = enter(wsgi); !entered) return std::move(entered.error());
  app::InterpreterSettings settings{.python = wsgi.python, .venv = wsgi.venv, .env = wsgi.env, .user = {}};
  if (!pool.user.empty() && inheritance.identity) settings.user = inheritance.identity->user;
  auto interpreter = app::find_interpreter(settings, environ);
  if (!interpreter) return std::move(interpreter.error());
  const std::string folder = app::module_folder(os::executable_path());
  const std::string module = folder + "/prong_worker.abi3.so";
  if (::access(module.c_str(), R_OK) != 0)
    return system_error(fmt::format("cannot read the Python side of prongd, \"{}\"", module), errno,
                        "was prongd built with python3-dev there, and installed whole?");
  auto record = make_record(inheritance, pool);
  if (!record) return std::move(record.error());
  auto file = ipc::store(*record);
  if (!file) return std::move(file.error());
  app::ProgramSettings program = app::program_of(settings, *interpreter, environ);
  program.command.insert(program.command.end(),
                         {"-c", kBootstrap, folder, fmt::format("{}", file->get()), fmt::format("{}", channel.fd())});
  auto prepared = app::Program::prepare(program, environ, 0);
  if (!prepared) return std::move(prepared.error());
  if (auto redirected = redirect_output(inheritance); !redirected) return std::move(redirected.error());
  return prepared->become();
}

Result<Resumed> resume_worker(int record_fd) {
  os::isolate_forked_children(reset_dispositions_of_children);
  auto record = ipc::take(os::UniqueFd{record_fd});
  if (!record) return failure(std::move(record.error()));
  config::Loaded loaded = config::load_text(record->config, "the master's");
  if (!loaded.config || loaded.config->pools.empty() || !loaded.diagnostics.empty())
    return failure(loaded.diagnostics.empty() ? "the master handed over no pool"
                                              : config::to_text(loaded.diagnostics.front()));
  auto log = log::take_over(log_settings(*record), os::UniqueFd{record->log_fd});
  if (!log) return failure(std::move(log.error()));
  log::use(*std::move(log));
  ipc::Inheritance& inheritance = record->inheritance;
  os::remember_arguments_of_host();
  if (auto done = set_up_host(inheritance, loaded.config->pools.front()); !done)
    return failure(std::move(done.error()));
  return Resumed{.inheritance = std::move(inheritance), .config = std::move(loaded.config)};
}

}  // namespace prong::worker
