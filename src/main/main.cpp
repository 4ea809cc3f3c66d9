// prongd: reads the options and the configuration, then becomes the master.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <utility>

#include "base/message_code.hpp"
#include "config/builder.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"
#include "log/log.hpp"
#include "main/launcher_file.hpp"
#include "main/options.hpp"
#include "main/worker_main.hpp"
#include "master/master.hpp"
#include "os/process.hpp"
#include "os/systemd.hpp"

namespace {

using namespace prong;
using master::ExitCode;

int to_status(ExitCode code) {
  return static_cast<int>(code);
}

// What was asked for on standard output; a full disk behind it is an error and no success.
int print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return to_status(ExitCode::kDone);
  fmt::print(stderr, "prongd: {}\n", system_error("cannot write to standard output", errno).message);
  return to_status(ExitCode::kRuntime);
}

config::Loaded from_options(const Options& options) {
  if (!options.config_path.empty()) {
    config::Loaded loaded = config::load_file(options.config_path);
    if (!loaded.config && options.config_is_default && loaded.diagnostics.size() == 1)
      loaded.diagnostics.front().hint =
          "name a file with --config, a directory with --static, an application with --wsgi, or a module with --module";
    return loaded;
  }
  if (!options.module.path.empty()) return config::for_module(options.module);
  return {.config = std::make_shared<config::Config>(
              options.wsgi.app.empty() ? config::for_static(options.static_root, options.static_address)
                                       : config::for_wsgi(options.wsgi)),
          .diagnostics = {}};
}

const std::string& source_of(const Options& options) {
  if (!options.config_path.empty()) return options.config_path;
  if (!options.module.path.empty()) return options.module.path;
  return options.wsgi.app.empty() ? options.static_root : options.wsgi.app;
}

int report(const std::vector<config::Diagnostic>& diagnostics) {
  for (const config::Diagnostic& diagnostic : diagnostics) fmt::print(stderr, "{}\n", config::to_text(diagnostic));
  fmt::print(stderr, "prongd: {} in the configuration; nothing was started\n",
             diagnostics.size() == 1 ? "1 error" : fmt::format("{} errors", diagnostics.size()));
  return to_status(ExitCode::kUsage);
}

int cannot_start(const Error& error) {
  fmt::print(stderr, "prongd: cannot start: {} [{}]\n", error.text(), to_text(MessageCode::kCannotStart));
  return to_status(ExitCode::kCannotStart);
}

int serve(const Options& options, master::Planned planned) {
  os::SystemdHandover handover = os::take_systemd_handover();
  auto standard = os::open_standard_descriptors();
  if (!standard) return cannot_start(standard.error());
  auto log = log::prepare(master::log_settings(planned.plan.config->log));
  if (!log) return cannot_start(log.error());
  log::use(*log);
  auto daemon = master::Master::create([options] { return from_options(options); }, worker_main, std::move(handover),
                                       open_launcher());
  if (!daemon) return cannot_start(daemon.error());
  return to_status((*daemon)->run(std::move(planned), std::move(*log)));
}

int run(const Options& options) {
  switch (options.action) {
    case Action::kDumpSchema:
      return print(config::json_schema());
    case Action::kDumpConfigReference:
      return print(config::reference_markdown());
    case Action::kDumpSignalReference:
      return print(master::signals_markdown());
    case Action::kDumpManual:
      return print(config::reference_manual());
    case Action::kDumpMessageReference:
      return print(messages_markdown());
    case Action::kServe:
    case Action::kCheck:
    case Action::kPrintConfig:
      break;
  }
  master::Planned planned = master::plan_config([&options] { return from_options(options); });
  if (!planned.diagnostics.empty()) return report(planned.diagnostics);
  if (options.action == Action::kPrintConfig) return print(config::to_toml(*planned.plan.config));
  if (options.action == Action::kCheck)
    return print(fmt::format("{}: the configuration is good\n", source_of(options)));
  return serve(options, std::move(planned));
}

}  // namespace

int main(int argc, char** argv) {
  os::remember_arguments(argc, argv);
  try {
    auto parsed = parse_options(argc, argv);
    if (const int* status = std::get_if<int>(&parsed)) return *status;
    return run(std::get<Options>(parsed));
  } catch (const std::exception& exception) {
    fmt::print(stderr, "prongd: {}\n", exception.what());
    return to_status(ExitCode::kRuntime);
  }
}
