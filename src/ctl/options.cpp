#include "ctl/options.hpp"

#include <CLI/CLI.hpp>
#include <prong/version.h>

#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include "base/units.hpp"

namespace prong::ctl {
namespace {

constexpr const char* kFooter =
    "Exit status: 0 done, 1 the daemon could not do it, 2 wrong usage, 3 there is no daemon.\n"
    "`prongctl VERB --help` tells more about one verb.";

constexpr std::uint32_t kMostWorkers = 1'024;

CLI::App* add_verb(CLI::App& app, Options& options, ipc::ControlVerb verb, const char* description) {
  CLI::App* added = app.add_subcommand(std::string{ipc::kControlVerbText.text(verb)}, description);
  added->fallthrough();  // --json and --socket may stand behind the verb
  added->parse_complete_callback([&options, verb] { options.request.verb = verb; });
  return added;
}

// A worker as people write it: shop/0, or shop/worker[0] as the log has it.
std::optional<std::uint32_t> slot_of(std::string_view text) {
  if (text.starts_with("worker[") && text.ends_with(']')) text = text.substr(7, text.size() - 8);
  std::uint32_t slot = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), slot);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return slot;
}

void set_target(const std::string& text, ipc::ControlRequest& request) {
  const std::size_t slash = text.find('/');
  request.pool = text.substr(0, slash);
  if (slash == std::string::npos) return;
  request.worker = slot_of(std::string_view{text}.substr(slash + 1));
  if (request.pool.empty() || !request.worker)
    throw CLI::ValidationError("POOL|WORKER", "\"" + text + "\" is no worker; write for example shop/0");
}

// A duration as the configuration has them: 500ms, 10s, 1m.
void add_time(CLI::App* verb, const char* name, std::chrono::milliseconds& time, const char* text) {
  const auto set = [&time, name](const std::string& written) {
    const auto parsed = parse_duration(written);
    if (!parsed) throw CLI::ValidationError(name, parsed.error().text());
    constexpr std::chrono::hours kMost{1};
    if (*parsed <= Duration::zero() || *parsed > kMost)
      throw CLI::ValidationError(name, "\"" + written + "\" is not above 0 and at most 1h");
    time = *parsed;
  };
  verb->add_option_function<std::string>(name, set, text)->option_text("TIME");
}

void add_verbs(CLI::App& app, Options& options) {
  using ipc::ControlVerb;
  ipc::ControlRequest& request = options.request;
  const auto add = [&](ControlVerb verb, const char* text) { return add_verb(app, options, verb, text); };
  for (const auto& [verb, text] : {std::pair{ControlVerb::kStatus, "Show the pools"},
                                   std::pair{ControlVerb::kWorkers, "Show the workers, and what they are doing"}}) {
    auto* show = add(verb, text);
    show->add_option("POOL", request.pool, "Of this pool alone");
    add_time(show, "--over", options.over, "The time of which rates and percentiles are, 500ms by default");
  }
  auto* metrics = app.add_subcommand("metrics", "Show what modules count themselves");
  metrics->fallthrough();
  metrics->add_option("POOL", request.pool, "Of this pool alone");
  add_time(metrics, "--over", options.over, "The time of which rates and percentiles are, 500ms by default");
  metrics->parse_complete_callback([&options] {
    options.request.verb = ControlVerb::kStatus;
    options.task = Task::kMetrics;
  });
  auto* top = app.add_subcommand("top", "Show pools and workers live, on a terminal");
  top->fallthrough();
  top->add_option("POOL", request.pool, "Of this pool alone");
  add_time(top, "--every", options.interval, "How often they are looked at, 1s by default");
  top->parse_complete_callback([&options] {
    options.request.verb = ControlVerb::kWorkers;
    options.task = Task::kTop;
  });
  auto* reload = add(ControlVerb::kReload, "Put the changed configuration to work, and wait for the verdict");
  reload->add_option("POOL", request.pool, "Of this pool alone; the others notice nothing");
  reload->add_flag("--plan", request.plan, "Only say what would change");
  auto* stop = add(ControlVerb::kStop, "Stop the daemon, and wait until it is gone");
  stop->add_flag("--fast", request.fast, "Cut connections; without it the workers finish what they have");
  stop->add_flag_callback("--no-wait", [&options] { options.wait = false; }, "Return at once");
  auto* scale = add(ControlVerb::kScale, "Change the number of workers of a pool, until the next reload");
  scale->add_option("POOL", request.pool, "Which")->required();
  scale->add_option("N", request.count, "How many workers")->required()->check(CLI::Range(1U, kMostWorkers));
  add(ControlVerb::kRecycle, "Replace workers, each by one that is ready first")
      ->add_option_function<std::string>(
          "POOL|WORKER", [&request](const std::string& text) { set_target(text, request); },
          "A whole pool, or one worker such as shop/0")
      ->required();
  add(ControlVerb::kPause, "Accept no connections in a pool, which wait in its queue; open ones go on")
      ->add_option("POOL", request.pool, "Which")
      ->required();
  add(ControlVerb::kResume, "Accept connections again in a paused pool")
      ->add_option("POOL", request.pool, "Which")
      ->required();
  add(ControlVerb::kLogLevel, "Change which lines the log has, until a reload changes [log]")
      ->add_option("LEVEL", request.level, "The least important lines that are written")
      ->required()
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}));
  add(ControlVerb::kReopenLogs, "Open the log files anew, after they were moved away");
  add(ControlVerb::kConfig, "Show every value that is in force, and where it comes from");
  add(ControlVerb::kVersion, "Show the versions of both sides");
}

void add_explain(CLI::App& app, Options& options) {
  CLI::App* explain = app.add_subcommand("explain", "Explain a code of the log: cause, effect, what to do");
  explain->fallthrough();
  explain->add_option("CODE", options.code, "Such as PR0101; without it all codes are listed");
  explain->parse_complete_callback([&options] { options.task = Task::kExplain; });
}

}  // namespace

std::variant<Options, int> parse_options(int argc, char** argv) {
  Options options;
  CLI::App app{"prongctl: asks and steers a running prongd."};
  app.footer(kFooter);
  app.set_version_flag("--version", "prongctl " PRONG_VERSION, "Print the version of prongctl and exit");
  app.add_flag("--json", options.json, "Print what the daemon answered, as JSON");
  app.add_option("--socket", options.socket, "The daemon's control socket")->option_text("PATH");
  app.require_subcommand(1);
  add_verbs(app, options);
  add_explain(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kDone : kUsageError;
  }
  return options;
}

}  // namespace prong::ctl
