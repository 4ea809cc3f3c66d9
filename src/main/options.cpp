#include "main/options.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <prong/version.h>

#include <map>

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

// The options that only --wsgi has.
void add_wsgi_options(CLI::App& app, CLI::Option* wsgi, config::WsgiOptions& options) {
  const auto set_workers = [&options](const std::string& text) {
    if (text == "auto")
      options.workers.reset();
    else
      options.workers = static_cast<std::uint32_t>(std::stoul(text));
  };
  app.add_option_function<std::string>("--workers", set_workers, "With --wsgi: how many processes")
      ->option_text("NUMBER|auto [auto: one for each CPU]")
      ->check(CLI::IsMember({"auto"}) | CLI::Range(1U, kMostOfThem))
      ->needs(wsgi);
  app.add_option("--threads", options.threads, "With --wsgi: how many threads of each process run the application")
      ->option_text(fmt::format("NUMBER [{}]", options.threads))
      ->check(CLI::Range(1U, kMostOfThem))
      ->needs(wsgi);
  app.add_flag("--reload", options.reload, "With --wsgi, for development: reload when a module's file is saved")
      ->option_text(" ")
      ->needs(wsgi);
  app.add_flag("--debug-errors", options.debug_errors,
               "With --wsgi, for development: answer exceptions with a traceback, to this machine only")
      ->option_text(" ")
      ->needs(wsgi);
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
  std::string address{config::kDefaultAddress};
  auto* listen = app.add_option("--listen", address, "Where --static or --wsgi listens")
                     ->option_text("ADDRESS [" + address + "]")
                     ->excludes(config);
  add_wsgi_options(app, wsgi, options.wsgi);

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
    if (!*root && !*wsgi && *listen) throw CLI::RequiresError("--listen", "--static or --wsgi");
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
  options.static_address = options.wsgi.address = address;
  if (!*config && !*root && !*wsgi) {
    options.config_path = kDefaultConfig;
    options.config_is_default = true;
  }
  return options;
}

}  // namespace prong
