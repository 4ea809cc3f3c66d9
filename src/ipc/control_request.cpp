#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <limits>

#include "base/escape.hpp"
#include "base/join.hpp"
#include "ipc/control.hpp"

namespace prong::ipc {
namespace {

using Json = nlohmann::json;

// A request is an object of plain values.
constexpr int kMostDepth = 2;
constexpr std::size_t kMostShown = 40;  // of what a client wrote, in an error

// Which fields a verb has, beside version and verb.
struct Fields {
  bool pool = false;
  bool needs_pool = false;
  bool worker = false;
  bool level = false;
  bool count = false;
  bool plan = false;
  bool fast = false;
};

Fields fields_of(ControlVerb verb) {
  switch (verb) {
    case ControlVerb::kVersion:
    case ControlVerb::kReopenLogs:
    case ControlVerb::kConfig:
      return {};
    case ControlVerb::kStatus:
    case ControlVerb::kWorkers:
      return {.pool = true};
    case ControlVerb::kReload:
      return {.pool = true, .plan = true};
    case ControlVerb::kStop:
      return {.fast = true};
    case ControlVerb::kScale:
      return {.pool = true, .needs_pool = true, .count = true};
    case ControlVerb::kPause:
    case ControlVerb::kResume:
      return {.pool = true, .needs_pool = true};
    case ControlVerb::kRecycle:
      return {.pool = true, .needs_pool = true, .worker = true};
    case ControlVerb::kLogLevel:
      return {.level = true};
  }
  return {};
}

std::string shown(std::string_view text) {
  return fmt::format("\"{}\"", escaped(text, kMostShown));
}

Result<Json> parse_json(std::string_view line) {
  bool too_deep = false;
  const auto watch_depth = [&too_deep](int depth, Json::parse_event_t /*event*/, Json& /*parsed*/) {
    too_deep = too_deep || depth > kMostDepth;
    return !too_deep;
  };
  Json parsed = Json::parse(line, watch_depth, false);
  if (too_deep) return failure("the request is nested too deep");
  if (!parsed.is_object()) return failure("the request is no JSON object", "send one object in one line");
  return parsed;
}

std::unexpected<Error> wrong_type(std::string_view name, std::string_view wanted) {
  return failure(fmt::format("\"{}\" must be {}", name, wanted));
}

Result<void> read_number(const Json& value, std::string_view name, std::uint32_t& number) {
  const auto* const found = value.get_ptr<const Json::number_unsigned_t*>();
  if (found == nullptr || *found > std::numeric_limits<std::uint32_t>::max())
    return wrong_type(name, "a whole number that is not negative");
  number = static_cast<std::uint32_t>(*found);
  return {};
}

Result<void> read_flag(const Json& value, std::string_view name, bool& flag) {
  const auto* const found = value.get_ptr<const Json::boolean_t*>();
  if (found == nullptr) return wrong_type(name, "true or false");
  flag = *found;
  return {};
}

Result<void> read_text(const Json& value, std::string_view name, std::string& text) {
  const auto* const found = value.get_ptr<const Json::string_t*>();
  if (found == nullptr) return wrong_type(name, "a text");
  text = *found;
  return {};
}

Result<void> read_field(const Fields& fields, const std::string& name, const Json& value, ControlRequest& request) {
  if (name == "version" || name == "verb") return {};
  if (name == "pool" && fields.pool) return read_text(value, name, request.pool);
  if (name == "level" && fields.level) return read_text(value, name, request.level);
  if (name == "count" && fields.count) return read_number(value, name, request.count);
  if (name == "plan" && fields.plan) return read_flag(value, name, request.plan);
  if (name == "fast" && fields.fast) return read_flag(value, name, request.fast);
  if (name == "worker" && fields.worker) return read_number(value, name, request.worker.emplace());
  return failure(fmt::format("the verb \"{}\" has no field {}", kControlVerbText.text(request.verb), shown(name)));
}

Result<ControlVerb> read_verb(const Json& object) {
  const auto found = object.find("verb");
  if (found == object.end()) return failure("\"verb\" is missing");
  std::string text;
  if (auto read = read_text(*found, "verb", text); !read) return failure(std::move(read.error()));
  if (const auto verb = kControlVerbText.value(text)) return *verb;
  return failure(fmt::format("the verb {} is not known", shown(text)));
}

Result<void> check_version(const Json& object) {
  const auto found = object.find("version");
  if (found == object.end()) return failure("\"version\" is missing", fmt::format("this is {}", kControlVersion));
  const auto* const version = found->get_ptr<const Json::number_unsigned_t*>();
  if (version != nullptr && *version == kControlVersion) return {};
  return failure(fmt::format("this daemon speaks version {} of the control protocol", kControlVersion),
                 "use the prongctl that was installed with it");
}

Result<void> check_complete(const Fields& fields, const Json& object) {
  if (fields.needs_pool && !object.contains("pool")) return failure("\"pool\" is missing");
  if (fields.count && !object.contains("count")) return failure("\"count\" is missing");
  if (fields.level && !object.contains("level")) return failure("\"level\" is missing");
  return {};
}

}  // namespace

Result<ControlRequest> parse_control_request(std::string_view line) {
  const auto object = parse_json(line);
  if (!object) return failure(object.error());
  if (auto good = check_version(*object); !good) return failure(std::move(good.error()));
  const auto verb = read_verb(*object);
  if (!verb) return failure(verb.error());
  ControlRequest request{.verb = *verb};
  const Fields fields = fields_of(*verb);
  for (const auto& [name, value] : object->items())
    if (auto read = read_field(fields, name, value, request); !read) return failure(std::move(read.error()));
  if (auto good = check_complete(fields, *object); !good) return failure(std::move(good.error()));
  return request;
}

std::string to_line(const ControlRequest& request) {
  const Fields fields = fields_of(request.verb);
  Json object{{"version", kControlVersion}, {"verb", kControlVerbText.text(request.verb)}};
  if (fields.pool && !request.pool.empty()) object["pool"] = request.pool;
  if (fields.worker && request.worker) object["worker"] = *request.worker;
  if (fields.level) object["level"] = request.level;
  if (fields.count) object["count"] = request.count;
  if (request.plan) object["plan"] = true;
  if (request.fast) object["fast"] = true;
  return object.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
}

}  // namespace prong::ipc
