#include "main/options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <prong/version.h>

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>

#include "config/builder.hpp"

namespace prong {
namespace {

constexpr const char* kDefaultConfig = "/etc/prongd/prongd.toml";
constexpr int kUsageError = 2;

constexpr const char* kFooter =
    "Signals to the master: TERM stops gracefully (twice: at once), HUP reloads, USR1 reopens the log,\n"
    "TTIN and TTOU change the number of workers.\n"
    "Exit status: 0 done, 1 runtime error, 2 wrong usage or configuration, 3 could not start.";

// As the keys `workers` and `threads` have it (config/schema.cpp).
constexpr std::uint32_t kMostOfThem = 1'024;

// What --wsgi and --module share: copied to the one that was asked for.
struct Processes {
  std::optional<std::uint32_t> workers = {};  // nothing: "auto"
  std::optional<std::uint32_t> threads = {};
};

// The options that more than one way to serve has: they need one of those.
struct SharedOptions {
  CLI::Option* listen;
  CLI::Option* workers;
  CLI::Option* threads;
};

SharedOptions add_shared_options(CLI::App& app, std::string& address, Processes& processes) {
  const auto set_workers = [&processes](const std::string& text) {
    if (text == "auto")
      processes.workers.reset();
    else
      processes.workers = static_cast<std::uint32_t>(std::stoul(text));
  };
  auto* listen = app.add_option("--listen", address, "Where --static, --wsgi or --module listens")
                     ->option_text("ADDRESS [" + address + "]");
  auto* workers =
      app.add_option_function<std::string>("--workers", set_workers, "With --wsgi or --module: how many processes")
          ->option_text("NUMBER|auto [auto: one for each CPU]")
          ->check(CLI::IsMember({"auto"}) | CLI::Range(1U, kMostOfThem));
  auto* threads = app.add_option("--threads", processes.threads,
                                 "With --wsgi or --module: how many threads of each process run the application")
                      ->option_text(fmt::format("NUMBER [{}]", config::default_threads()))
                      ->check(CLI::Range(1U, kMostOfThem));
  return {.listen = listen, .workers = workers, .threads = threads};
}

// The options that only --wsgi has.
void add_wsgi_options(CLI::App& app, CLI::Option* wsgi, config::WsgiOptions& options) {
  app.add_flag("--reload", options.reload, "With --wsgi, for development: reload when a module's file is saved")
      ->option_text(" ")
      ->needs(wsgi);
  app.add_flag("--debug-errors", options.debug_errors,
               "With --wsgi, for development: answer exceptions with a traceback, to this machine only")
      ->option_text(" ")
      ->needs(wsgi);
}

// The options that only --module has.
void add_module_options(CLI::App& app, CLI::Option* module, config::ModuleArguments& arguments) {
  const auto set_protocol = [&arguments](const std::string& text) {
    arguments.protocol = config::kModuleProtocolText.value(text).value_or(arguments.protocol);
  };
  const auto set_concurrency = [&arguments](const std::string& text) {
    arguments.concurrency = config::kConcurrencyText.value(text).value_or(arguments.concurrency);
  };
  app.add_option_function<std::string>("--protocol", set_protocol, "With --module: what it speaks with clients")
      ->option_text("http|stream [http]")
      ->check(CLI::IsMember({"http", "stream"}))
      ->needs(module);
  app.add_option("--option", arguments.options, "With --module: an option that it reads; may be given again and again")
      ->option_text("NAME=VALUE")
      ->allow_extra_args(false)
      ->needs(module);
  app.add_option_function<std::string>("--concurrency", set_concurrency,
                                       "With --module: how a worker serves many clients")
      ->option_text("event|thread|process [event]")
      ->check(CLI::IsMember({"event", "thread", "process"}))
      ->needs(module);
}

// What `needs` of CLI11 cannot say: one of several.
void require_one_of(const CLI::Option* option, std::initializer_list<const CLI::Option*> ways) {
  if (!*option || std::ranges::any_of(ways, [](const CLI::Option* way) { return bool{*way}; })) return;
  std::string names;
  for (const CLI::Option* way : ways) names += fmt::format("{}{}", names.empty() ? "" : " or ", way->get_name());
  throw CLI::RequiresError(option->get_name(), names);
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  CLI::App app{"prongd: a pre-forking server daemon. Serves on every core; reloads and crashes go unnoticed."};
  app.footer(kFooter);
  app.set_version_flag("--version", "prongd " PRONG_VERSION, "Print the version and exit");

  auto* config = app.add_option("-c,--config", options.config_path, "The configuration file")
                     ->option_text(std::string{"FILE ["} + kDefaultConfig + "]");
  auto* root = app.add_option("--static", options.static_root, "Serve this directory, without a configuration file")
                   ->option_text("DIR")
                   ->excludes(config);
  auto* wsgi = app.add_option("--wsgi", options.wsgi.app,
                              "Serve this Python application of the working directory, without a configuration file")
                   ->option_text("MODULE:NAME")
                   ->excludes(config)
                   ->excludes(root);
  auto* module =
      app.add_option("--module", options.module.path, "Run this module, a shared object, without a configuration file")
          ->option_text("FILE")
          ->excludes(config)
          ->excludes(root)
          ->excludes(wsgi);
  std::string address{config::kDefaultAddress};
  Processes processes;
  const SharedOptions shared = add_shared_options(app, address, processes);
  shared.listen->excludes(config);
  add_wsgi_options(app, wsgi, options.wsgi);
  add_module_options(app, module, options.module);

  bool check = false;
  bool print = false;
  bool schema = false;
  std::string reference;
  auto* actions = app.add_option_group("Instead of serving");
  actions->require_option(0, 1);
  actions->add_flag("--check", check, "Report every error of the configuration; exit with 2 if there is one");
  actions->add_flag("--print-config", print, "Print the effective configuration, defaults filled in");
  actions->add_flag("--dump-schema", schema, "Print the JSON Schema of the configuration, for editors");
  actions
      ->add_option("--dump-reference", reference, "Print a reference page, in Markdown; man: prongd.toml(5), for scdoc")
      ->option_text("config|signals|messages|man")
      ->check(CLI::IsMember({"config", "signals", "messages", "man"}));

  try {
    app.parse(argc, argv);
    require_one_of(shared.listen, {root, wsgi, module});
    require_one_of(shared.workers, {wsgi, module});
    require_one_of(shared.threads, {wsgi, module});
  } catch (const CLI::ParseError& error) {
    // Help and version are "errors" of status 0 here; CLI11's own numbers for the others mean nothing to a user.
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  if (check) options.action = Action::kCheck;
  if (print) options.action = Action::kPrintConfig;
  if (schema) options.action = Action::kDumpSchema;
  if (reference == "config") options.action = Action::kDumpConfigReference;
  if (reference == "signals") options.action = Action::kDumpSignalReference;
  if (reference == "man") options.action = Action::kDumpManual;
  if (reference == "messages") options.action = Action::kDumpMessageReference;
  options.static_address = options.wsgi.address = options.module.address = address;
  options.wsgi.workers = options.module.workers = processes.workers;
  options.wsgi.threads = processes.threads.value_or(options.wsgi.threads);
  options.module.threads = processes.threads;
  if (!*config && !*root && !*wsgi && !*module) {
    options.config_path = kDefaultConfig;
    options.config_is_default = true;
  }
  return options;
}

}  // namespace prong
