// prongctl: one question to a running prongd, and its answer. It knows nothing of the daemon but what the control
// socket says (docs/control.md).
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cerrno>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ctl/connection.hpp"
#include "ctl/explain.hpp"
#include "ctl/options.hpp"
#include "ctl/show.hpp"
#include "ctl/top.hpp"
#include "ipc/control_place.hpp"

namespace {

using namespace prong;
using namespace prong::ctl;
using Json = nlohmann::ordered_json;

int print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return kDone;
  fmt::print(stderr, "prongctl: {}\n", system_error("cannot write to standard output", errno).message);
  return kFailed;
}

int fail(const Error& error) {
  fmt::print(stderr, "prongctl: {}\n", error.text());
  return kFailed;
}

std::vector<std::string> sockets_of(const Options& options) {
  if (!options.socket.empty()) return {options.socket};
  std::vector<std::string> paths;
  for (const ipc::ControlPlace& place : ipc::control_places_to_ask(ipc::ControlSurroundings::of_this_process()))
    paths.push_back(place.socket());
  return paths;
}

int cannot_connect(const Error& error) {
  if (error.error_number != ENOENT && error.error_number != ECONNREFUSED) {
    fmt::print(stderr, "prongctl: cannot reach the daemon: {}{}\n", error.text(),
               error.error_number == EACCES ? "; become root, or a member of control.group" : "");
    return kFailed;
  }
  fmt::print(stderr,
             "prongctl: no prongd is running: {}\n"
             "Start it with `systemctl start prongd` or `prongd --config FILE`; `--socket PATH` asks another one.\n",
             error.message);
  return kNoDaemon;
}

// A reload takes as long as its workers need to start.
std::optional<std::chrono::milliseconds> patience_of(const ipc::ControlRequest& request) {
  if (request.verb == ipc::ControlVerb::kReload) return std::nullopt;
  return kPatience;
}

// The whole answer; an error when it is none.
Result<Json> ask(Connection& connection, const ipc::ControlRequest& request) {
  const auto line = connection.ask(ipc::to_line(request), patience_of(request));
  if (!line) return failure(line.error());
  Json answer = Json::parse(*line, nullptr, false);
  if (!answer.is_object() || !answer.contains("ok"))
    return failure("the daemon's answer is not understood", "is that the control socket of a prongd?");
  return answer;
}

bool is_good(const Json& answer) {
  const auto* const good = answer["ok"].get_ptr<const Json::boolean_t*>();
  return good != nullptr && *good;
}

int explain_code(const Options& options) {
  const auto text = explain(options.code, options.json ? ExplainAs::kJson : ExplainAs::kText);
  return text ? print(*text) : fail(text.error());
}

// `top` for programs: an answer in each line, until one of the two goes.
int stream(const Options& options) {
  auto connection = Connection::open(sockets_of(options));
  if (!connection) return cannot_connect(connection.error());
  while (true) {
    const auto answer = ask(*connection, options.request);
    if (!answer) return fail(answer.error());
    const int printed = print(answer->dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
    if (printed != kDone || !is_good(*answer)) return kFailed;
    std::this_thread::sleep_for(options.interval);
  }
}

int watch(const Options& options) {
  if (options.json) return stream(options);
  const auto watched = run_top(sockets_of(options), options.request, options.interval);
  if (watched) return kDone;
  return watched.error().error_number != 0 ? cannot_connect(watched.error()) : fail(watched.error());
}

std::string answer_text(const Options& options, const Json& answer, const std::optional<Json>& earlier) {
  if (options.json) return answer.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
  if (options.task == Task::kMetrics) return metrics_text(answer["result"], earlier);
  return to_text(options.request.verb, answer["result"], earlier);
}

int carry_out(const Options& options) {
  auto connection = Connection::open(sockets_of(options));
  if (!connection) return cannot_connect(connection.error());
  auto answer = ask(*connection, options.request);
  if (!answer) return fail(answer.error());
  std::optional<Json> earlier;
  const bool shows_rates = !options.json && (options.request.verb == ipc::ControlVerb::kStatus ||
                                             options.request.verb == ipc::ControlVerb::kWorkers);
  if (shows_rates && is_good(*answer)) {
    earlier = (*answer)["result"];
    std::this_thread::sleep_for(options.over);
    answer = ask(*connection, options.request);
    if (!answer) return fail(answer.error());
  }
  if (!is_good(*answer) && !options.json) {
    fmt::print(stderr, "{}", failure_text((*answer)["error"]));
    return kFailed;
  }
  const int printed = print(answer_text(options, *answer, earlier));
  if (!is_good(*answer)) return kFailed;
  if (options.request.verb == ipc::ControlVerb::kStop && options.wait) connection->wait_for_end();
  return printed;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto parsed = parse_options(argc, argv);
    if (const int* status = std::get_if<int>(&parsed)) return *status;
    const auto& options = std::get<Options>(parsed);
    switch (options.task) {
      case Task::kAsk:
      case Task::kMetrics:
        return carry_out(options);
      case Task::kTop:
        return watch(options);
      case Task::kExplain:
        return explain_code(options);
    }
    return kFailed;
  } catch (const std::exception& exception) {
    fmt::print(stderr, "prongctl: {}\n", exception.what());
    return kFailed;
  }
}
