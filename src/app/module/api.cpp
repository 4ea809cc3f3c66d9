// The functions that a module calls (prong/module.h), each a thin border: C types outside, ours inside, and no
// exception across.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "app/module/exchange.hpp"
#include "app/module/runtime.hpp"
#include "app/module/streams.hpp"
#include "base/escape.hpp"
#include "base/units.hpp"
#include "http/origin.hpp"
#include "log/log.hpp"
#include "net/ip_address.hpp"

namespace prong::app::module {
namespace {

constexpr std::size_t kMostLogText = 4U << 10U;

// Structs that a module gives to be filled may be older, hence shorter than ours.
template <class Struct>
void fill(Struct* into, Struct full) {
  full.size = into->size;
  std::memcpy(static_cast<void*>(into), &full, std::min<std::size_t>(into->size, sizeof full));
}

std::chrono::nanoseconds to_duration(std::uint64_t nanoseconds) {
  constexpr auto kMost = static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());
  return std::chrono::nanoseconds{static_cast<std::int64_t>(std::min(nanoseconds, kMost))};
}

std::uint32_t model_bit(Model model) {
  switch (model) {
    case Model::kEvent:
      return PRONG_EVENT;
    case Model::kThread:
      return PRONG_THREAD;
    case Model::kProcess:
      break;
  }
  return PRONG_PROCESS;
}

// ---- The worker

void worker_info(prong_worker* worker, prong_worker_info* info) {
  const Settings& settings = worker->runtime->settings();
  fill(info, {.size = 0,
              .model = model_bit(settings.model),
              .threads = static_cast<std::uint32_t>(settings.threads),
              .slot = settings.slot,
              .generation = settings.generation,
              .reserved = 0,
              .pool = to_text(settings.pool),
              .module = to_text(settings.path)});
}

void write_log(prong_worker* /*worker*/, prong_level level, prong_text text) {
  const std::string_view whole = to_view(text);
  const std::string line = escaped(whole.substr(0, whole.find('\n')), kMostLogText, Quotes::kKeep);
  switch (level) {
    case PRONG_DEBUG:
      return log::debug("{}", line);
    case PRONG_INFO:
      return log::info("{}", line);
    case PRONG_WARNING:
      return log::warn(MessageCode::kModuleWarns, "{}", line);
    case PRONG_ERROR:
      break;
  }
  log::error(MessageCode::kModuleComplains, "{}", line);
}

bool log_enabled(prong_worker* /*worker*/, prong_level level) {
  switch (level) {
    case PRONG_DEBUG:
      return log::enabled(log::Level::kDebug);
    case PRONG_INFO:
      return log::enabled(log::Level::kInfo);
    case PRONG_WARNING:
      return log::enabled(log::Level::kWarn);
    case PRONG_ERROR:
      break;
  }
  return log::enabled(log::Level::kError);
}

void fail(prong_worker* /*worker*/, prong_text what) {
  Callback::fail(to_view(what));
}

bool draining(prong_worker* worker) {
  return worker->runtime->draining();
}

int post(prong_worker* worker, void (*run)(void*), void* context) {
  if (run == nullptr) return PRONG_INVALID;
  return worker->runtime->post({.run = run, .context = context}) ? PRONG_OK : PRONG_GONE;
}

// ---- Options

bool find_option(prong_worker* worker, prong_text name, prong_option* value) {
  Options* const options = worker->runtime->options();
  const Option* const found = options == nullptr ? nullptr : options->find(to_view(name));
  if (found == nullptr) return false;
  prong_option full{};
  full.file = to_text(found->place.file);
  full.line = found->place.line;
  full.column = found->place.column;
  if (const bool* flag = std::get_if<bool>(&found->value)) {
    full.kind = PRONG_BOOLEAN;
    full.boolean = *flag;
  } else if (const auto* number = std::get_if<std::int64_t>(&found->value)) {
    full.kind = PRONG_INTEGER;
    full.integer = *number;
    full.real = static_cast<double>(*number);
  } else if (const auto* real = std::get_if<double>(&found->value)) {
    full.kind = PRONG_REAL;
    full.real = *real;
  } else {
    full.kind = PRONG_TEXT;
    full.text = to_text(std::get<std::string>(found->value));
  }
  fill(value, full);
  return true;
}

std::int64_t option_count(prong_worker* worker, prong_text name) {
  Options* const options = worker->runtime->options();
  const OptionList* const found = options == nullptr ? nullptr : options->find_list(to_view(name));
  return found == nullptr ? -1 : static_cast<std::int64_t>(found->size);
}

bool read_duration(prong_text text, std::uint64_t* nanoseconds) {
  const auto parsed = parse_duration(to_view(text));
  if (!parsed) return false;
  constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;
  const auto milliseconds = static_cast<std::uint64_t>(parsed->count());
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (milliseconds > kMost / kNanosecondsPerMillisecond) return false;
  *nanoseconds = milliseconds * kNanosecondsPerMillisecond;
  return true;
}

bool read_size(prong_text text, std::uint64_t* bytes) {
  const auto parsed = parse_byte_size(to_view(text));
  if (!parsed) return false;
  *bytes = parsed->bytes;
  return true;
}

void refuse_option(prong_worker* worker, prong_text name, prong_text why) {
  if (Options* const options = worker->runtime->options(); options != nullptr)
    options->refuse(to_view(name), to_view(why));
}

// ---- Metrics

Metrics::Name name_of(const prong_metric& metric) {
  return {.name = to_view(metric.name), .labels = to_view(metric.labels), .help = to_view(metric.help)};
}

template <class Cell>
Cell* or_complain(const prong_worker& worker, const prong_metric& metric, Result<Cell*> cell) {
  if (cell) return *cell;
  worker.runtime->complain_of_metric(to_view(metric.name), cell.error());
  return nullptr;
}

std::uint64_t* counter(prong_worker* worker, const prong_metric* metric) {
  return or_complain(*worker, *metric, worker->runtime->metrics().counter(name_of(*metric)));
}

std::int64_t* gauge(prong_worker* worker, const prong_metric* metric) {
  return or_complain(*worker, *metric, worker->runtime->metrics().gauge(name_of(*metric)));
}

// A histogram of ours goes out as an opaque pointer, with how it is added to.
using Observe = void (*)(void*, std::chrono::nanoseconds);
std::atomic<Observe>& observe_function() {
  static std::atomic<Observe> function = nullptr;
  return function;
}

prong_histogram* histogram(prong_worker* worker, const prong_metric* metric) {
  observe_function().store(worker->runtime->metrics().observe, std::memory_order_relaxed);
  return static_cast<prong_histogram*>(
      or_complain(*worker, *metric, worker->runtime->metrics().histogram(name_of(*metric))));
}

void observe(prong_histogram* histogram, std::uint64_t nanoseconds) {
  if (histogram != nullptr) observe_function().load(std::memory_order_relaxed)(histogram, to_duration(nanoseconds));
}

// ---- Timers and descriptors

std::uint64_t start_timer(prong_worker* worker, std::uint64_t after_ns, std::uint64_t every_ns, void (*fire)(void*),
                          void* context) {
  if (fire == nullptr) return 0;
  return worker->runtime->start_timer(to_duration(after_ns),
                                      {.fire = fire, .context = context, .every = to_duration(every_ns)});
}

void stop_timer(prong_worker* worker, std::uint64_t timer) {
  worker->runtime->stop_timer(timer);
}

std::uint64_t watch(prong_worker* worker, int descriptor, std::uint32_t events, void (*ready)(void*, std::uint32_t),
                    void* context) {
  return worker->runtime->watch(descriptor, events, ready, context);
}

int change_watch(prong_worker* worker, std::uint64_t watch, std::uint32_t events) {
  return worker->runtime->change_watch(watch, events) ? PRONG_OK : PRONG_INVALID;
}

void stop_watch(prong_worker* worker, std::uint64_t watch) {
  worker->runtime->stop_watch(watch);
}

// ---- Requests

bool header(const prong_request* request, prong_text name, prong_text* value) {
  const auto found = HostRequest::of(request).request().headers.find(to_view(name));
  if (!found) return false;
  *value = to_text(*found);
  return true;
}

bool header_at(const prong_request* request, std::size_t index, prong_header* header) {
  const http::RequestHeaders& headers = HostRequest::of(request).request().headers;
  if (index >= headers.size()) return false;
  const http::Header found = headers[index];
  *header = {.name = to_text(found.name), .value = to_text(found.value)};
  return true;
}

// Takes the next pair off the rest of a query. False: there is none.
bool next_pair(std::string_view& rest, std::string_view& name, std::string_view& value) {
  while (!rest.empty()) {
    const std::size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    name = pair.substr(0, equals);
    value = equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    return true;
  }
  return false;
}

// As it was sent, if there is nothing to decode.
prong_text decoded_text(const prong_request* request, std::string_view text) {
  if (text.find_first_of("%+") == std::string_view::npos) return to_text(text);
  return HostRequest::of(request).keep(decoded(text, Plus::kIsSpace));
}

bool query(const prong_request* request, prong_text name, prong_text* value) {
  std::string_view rest = HostRequest::of(request).request().query;
  std::string_view each_name;
  std::string_view each_value;
  while (next_pair(rest, each_name, each_value)) {
    const bool is_it = each_name.find_first_of("%+") == std::string_view::npos
                           ? each_name == to_view(name)
                           : decoded(each_name, Plus::kIsSpace) == to_view(name);
    if (!is_it) continue;
    *value = decoded_text(request, each_value);
    return true;
  }
  return false;
}

bool query_at(const prong_request* request, std::size_t index, prong_text* name, prong_text* value) {
  // Whoever asks for one after the other does not begin at the front again and again.
  HostRequest::QueryPlace& place = HostRequest::of(request).query_place();
  if (index < place.index) place = {.index = 0, .rest = HostRequest::of(request).request().query};
  std::string_view each_name;
  std::string_view each_value;
  while (next_pair(place.rest, each_name, each_value)) {
    if (place.index++ < index) continue;
    *name = decoded_text(request, each_name);
    *value = decoded_text(request, each_value);
    return true;
  }
  return false;
}

void fill_address(const prong_request* request, const net::Endpoint& endpoint, prong_address* address) {
  fill(address,
       {.size = 0, .port = endpoint.port, .address = HostRequest::of(request).keep(net::to_text(endpoint.address))});
}

void peer(const prong_request* request, prong_address* address) {
  fill_address(request, HostRequest::of(request).request().peer, address);
}

void client(const prong_request* request, prong_address* address) {
  fill_address(request, http::origin_of(HostRequest::of(request).request()).client, address);
}

prong_text scheme(const prong_request* request) {
  return to_text(http::to_text(http::origin_of(HostRequest::of(request).request()).scheme));
}

std::ptrdiff_t read_body(const prong_request* request, std::uint64_t offset, char* buffer, std::size_t size) {
  const http::RequestBody* const body = HostRequest::of(request).request().body;
  if (body == nullptr) return 0;
  const auto read = body->read(offset, std::span(buffer, size));
  if (!read) return PRONG_FAILED;
  return static_cast<std::ptrdiff_t>(*read);
}

void on_gone(prong_exchange* exchange, void (*gone)(void*), void* context) {
  exchange->on_gone = gone;
  exchange->gone_context = context;
}

void** context(prong_connection* connection) {
  return &connection->context;
}

// What a function gives that has thrown. 0 would be PRONG_OK, or the end of something.
template <class Return>
Return failed_value() {
  if constexpr (std::is_same_v<Return, int>)
    return PRONG_NO_MEMORY;
  else if constexpr (std::is_same_v<Return, std::int64_t>)  // ptrdiff_t too
    return PRONG_FAILED;
  else
    return Return();
}

// Nothing may be thrown across the ABI: what is thrown here (there is no memory) becomes a failure of the callback, if
// the function has no way to tell.
template <auto kFunction>
struct Border;
template <class Return, class... Args, Return (*kFunction)(Args...)>
struct Border<kFunction> {
  static Return call(Args... args) noexcept {
    try {
      return kFunction(args...);
    } catch (const std::exception& exception) {
      if constexpr (!std::is_same_v<Return, int> && !std::is_same_v<Return, std::int64_t>)
        Callback::fail(exception.what());
      return failed_value<Return>();
    }
  }
};

}  // namespace

const prong_api& api() {
  static constexpr prong_api kApi{.size = sizeof(prong_api),
                                  .abi = PRONG_ABI,
                                  .worker_info = Border<worker_info>::call,
                                  .log = Border<write_log>::call,
                                  .log_enabled = Border<log_enabled>::call,
                                  .fail = Border<fail>::call,
                                  .draining = Border<draining>::call,
                                  .post = Border<post>::call,
                                  .option = Border<find_option>::call,
                                  .option_count = Border<option_count>::call,
                                  .parse_duration = Border<read_duration>::call,
                                  .parse_size = Border<read_size>::call,
                                  .refuse_option = Border<refuse_option>::call,
                                  .counter = Border<counter>::call,
                                  .gauge = Border<gauge>::call,
                                  .histogram = Border<histogram>::call,
                                  .observe = Border<observe>::call,
                                  .start_timer = Border<start_timer>::call,
                                  .stop_timer = Border<stop_timer>::call,
                                  .watch = Border<watch>::call,
                                  .change_watch = Border<change_watch>::call,
                                  .stop_watch = Border<stop_watch>::call,
                                  .header = Border<header>::call,
                                  .header_at = Border<header_at>::call,
                                  .query = Border<query>::call,
                                  .query_at = Border<query_at>::call,
                                  .peer = Border<peer>::call,
                                  .client = Border<client>::call,
                                  .scheme = Border<scheme>::call,
                                  .read_body = Border<read_body>::call,
                                  .respond = Border<respond>::call,
                                  .respond_file = Border<respond_file>::call,
                                  .respond_stream = Border<respond_stream>::call,
                                  .body_write = Border<body_write>::call,
                                  .body_resume = Border<body_resume>::call,
                                  .defer = Border<defer>::call,
                                  .on_gone = Border<on_gone>::call,
                                  .drop = Border<drop>::call,
                                  .context = Border<context>::call,
                                  .connection_peer = Border<connection_peer>::call,
                                  .send = Border<send>::call,
                                  .close = Border<close>::call,
                                  .cut = Border<cut>::call,
                                  .want_data = Border<want_data>::call,
                                  .read = Border<read>::call,
                                  .write = Border<write>::call};
  return kApi;
}

}  // namespace prong::app::module
