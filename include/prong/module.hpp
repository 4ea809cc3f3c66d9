// The SDK of prongd for modules: the C++ face of prong/module.h, which see for what holds everywhere (threads, memory,
// versions). Header-only, C++17 or newer, links with nothing.
//
//   #include <prong/module.hpp>
//
//   PRONG_HTTP_MODULE(hello) {
//     prong::on_request([](const prong::Request& request, prong::Response& response) {
//       response.text(200, "hello " + std::string{request.query("name").value_or("world")});
//     });
//   }
//
//   g++ -shared -fPIC $(pkg-config --cflags prong) hello.cpp -o hello.so && prongd --module ./hello.so
//
// What stands between the braces runs once in each worker, before it serves: there a module looks at its options, opens
// what it needs and says what it answers with. A worker has one module, so what is in here is functions, and no object
// that one would have to pass on. Everything that is given to on_...(), after() and their like is called on the threads
// that prong/module.h names, and lives until the worker ends.
//
// Exceptions: whatever a callback throws ends there: the request is answered with 500, the stream is cut, in the braces
// the worker does not start; the log says what(). Functions in here throw prong::Error where they say so.
#pragma once

#include <fcntl.h>
#include <prong/module.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>
#if __has_include(<span>)
#include <span>
#endif

// Hidden, so that two libraries that are built with different versions of this header share nothing.
#pragma GCC visibility push(hidden)

namespace prong {

// What a function of this header could not do.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The pool's `concurrency`. May be combined by | for the macros.
// NOLINTNEXTLINE(performance-enum-size): the bits of the C ABI
enum class Model : std::uint32_t { kEvent = PRONG_EVENT, kThread = PRONG_THREAD, kProcess = PRONG_PROCESS };
struct Models {
  std::uint32_t bits = 0;
  constexpr Models() = default;
  constexpr Models(Model model) : bits(static_cast<std::uint32_t>(model)) {}  // NOLINT: a set of one
  constexpr explicit Models(std::uint32_t all) : bits(all) {}
};
constexpr Models operator|(Models left, Models right) {
  return Models{left.bits | right.bits};
}
constexpr Models operator|(Model left, Model right) {
  return Models{left} | Models{right};
}

// ---- What is behind it; not for modules ---------------------------------------------------------------------------

class Request;
class Response;
class Upload;
class Connection;
class BlockingConnection;

namespace detail {

inline prong_text to_text(std::string_view text) {
  prong_text result;
  result.data = text.data();
  result.size = text.size();
  return result;
}
inline std::string_view to_view(prong_text text) {
  return {text.data, text.size};
}

// Functions that prongd calls by a number, which may have been withdrawn meanwhile, also by another thread.
class Callbacks {
 public:
  using Function = std::function<void(std::uint32_t events)>;

  std::uintptr_t add(Function function) {
    auto shared = std::make_shared<Function>(std::move(function));
    const std::lock_guard<std::mutex> lock(mutex_);
    functions_.emplace(++last_, std::move(shared));
    return last_;
  }
  void remove(std::uintptr_t number) {
    std::shared_ptr<Function> ended;  // without the lock: it may end objects that come back here
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = functions_.find(number);
    if (found == functions_.end()) return;
    ended = std::move(found->second);
    functions_.erase(found);
  }
  std::shared_ptr<Function> find(std::uintptr_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = functions_.find(number);
    return found == functions_.end() ? nullptr : found->second;
  }

 private:
  std::mutex mutex_;
  std::uintptr_t last_ = 0;
  std::unordered_map<std::uintptr_t, std::shared_ptr<Function>> functions_;
};

// The module of this process.
struct Module {
  const prong_api* api = nullptr;
  prong_worker* worker = nullptr;
  Callbacks callbacks = {};
  std::function<void()> on_drain = {};
  std::function<void()> on_stop = {};
  std::function<void(const Request&, Response&)> on_request = {};
  std::function<std::unique_ptr<Upload>(const Request&)> on_upload = {};
  std::function<void(Connection&)> on_open = {};
  std::function<void(Connection&, std::string_view)> on_data = {};
  std::function<void(Connection&)> on_end = {};
  std::function<void(Connection&)> on_writable = {};
  std::function<void(Connection&)> on_close = {};
  std::function<void(BlockingConnection&)> on_connection = {};
};
// Made by start(), ended by stop(): a worker that ends otherwise leaves it to the kernel.
inline Module* current = nullptr;
inline Module& module() {
  return *current;
}

// The border of exceptions. What `function` gives, or `otherwise` when it has thrown.
template <class Function, class Otherwise>
auto guarded(Function&& function, Otherwise otherwise) noexcept -> decltype(function()) {
  const char* what = "";
  std::string kept;
  try {
    return function();
  } catch (const std::exception& exception) {
    try {
      kept = exception.what();
      what = kept.empty() ? "an exception without a text" : kept.c_str();
    } catch (...) {
      what = "no memory";
    }
  } catch (...) {
    what = "an exception that is no std::exception";
  }
  module().api->fail(module().worker, to_text(what));
  return otherwise;
}
template <class Function>
void guarded(Function&& function) noexcept {
  (void)guarded(
      [&function] {
        function();
        return 0;
      },
      0);
}

// A function that may be one that can only be moved, such as a lambda that holds a Deferred.
template <class Function>
Callbacks::Function without_arguments(Function&& function) {
  auto kept = std::make_shared<std::decay_t<Function>>(std::forward<Function>(function));
  return [kept](std::uint32_t /*events*/) { (*kept)(); };
}

inline void call_back(void* context) {
  guarded([context] {
    if (auto function = module().callbacks.find(reinterpret_cast<std::uintptr_t>(context))) (*function)(0);
  });
}
inline void call_back_with(void* context, std::uint32_t events) {
  guarded([context, events] {
    if (auto function = module().callbacks.find(reinterpret_cast<std::uintptr_t>(context))) (*function)(events);
  });
}
inline void call_back_once(void* context) {
  const auto number = reinterpret_cast<std::uintptr_t>(context);
  const std::shared_ptr<Callbacks::Function> function = module().callbacks.find(number);
  module().callbacks.remove(number);
  if (function) guarded([&function] { (*function)(0); });
}
inline void* as_context(std::uintptr_t number) {
  return reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr): never followed
}

template <class Rep, class Period>
std::uint64_t nanoseconds(std::chrono::duration<Rep, Period> duration) {
  const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}

[[noreturn]] inline void refuse_answer(int result) {
  if (result == PRONG_TWICE) throw Error("the request has been answered before");
  if (result == PRONG_NO_MEMORY) throw std::bad_alloc();
  throw Error("the answer has a status or a header that cannot be");
}

}  // namespace detail

// ---- The worker -----------------------------------------------------------------------------------------------------

// What this worker is. The texts live as long as the worker.
struct Worker {
  Model model = Model::kEvent;
  unsigned threads = 1;     // that run callbacks at once: 1 but in `thread`
  unsigned slot = 0;        // its number in the pool, from 0
  unsigned generation = 0;  // of the configuration, from 1
  std::string_view pool;    // its name
  std::string_view path;    // of this module, absolute
};
inline Worker worker() {
  prong_worker_info info{};
  info.size = sizeof info;
  detail::module().api->worker_info(detail::module().worker, &info);
  Worker result;
  result.model = static_cast<Model>(info.model);
  result.threads = info.threads;
  result.slot = info.slot;
  result.generation = info.generation;
  result.pool = detail::to_view(info.pool);
  result.path = detail::to_view(info.module);
  return result;
}

// One line of the worker's log, which begins with the pool, the worker and its pid. Any thread.
inline void log(prong_level level, std::string_view text) {
  detail::module().api->log(detail::module().worker, level, detail::to_text(text));
}
inline void debug(std::string_view text) {
  log(PRONG_DEBUG, text);
}
inline void info(std::string_view text) {
  log(PRONG_INFO, text);
}
inline void warning(std::string_view text) {
  log(PRONG_WARNING, text);
}
inline void error(std::string_view text) {
  log(PRONG_ERROR, text);
}

// Whether the worker has been told to end. Any thread.
inline bool draining() {
  return detail::module().api->draining(detail::module().worker);
}
// The worker is to end: what is under way goes on. For whoever holds connections open, or waits for something.
inline void on_drain(std::function<void()> function) {
  detail::module().on_drain = std::move(function);
}
// The worker's good end, after the last callback.
inline void on_stop(std::function<void()> function) {
  detail::module().on_stop = std::move(function);
}

// Runs it as a callback of its own: for threads that the module has started itself. Any thread; the order is kept. What
// has not run when the worker ends is dropped. Throws std::bad_alloc.
template <class Function>
void post(Function&& function) {
  detail::Module& module = detail::module();
  const std::uintptr_t number = module.callbacks.add(detail::without_arguments(std::forward<Function>(function)));
  if (module.api->post(module.worker, detail::call_back_once, detail::as_context(number)) == PRONG_OK) return;
  module.callbacks.remove(number);
  throw std::bad_alloc();
}

// ---- Options --------------------------------------------------------------------------------------------------------

// The table `options` of the pool. Only in the braces of the module. A value of the wrong type or out of range keeps
// the worker from starting, and so does an option of the file that nobody has asked for; the operator is told file,
// line and column of all of them. The function gives its fallback then, so that one goes on to the next.
//
//   const std::string greeting = prong::options::text("greeting", "hello");
//   const std::int64_t size = prong::options::integer("cache.entries", 1'000, 1, 1'000'000);
//   const auto ttl = prong::options::duration("ttl", std::chrono::seconds{30});
namespace options {

// That value cannot be used, and why: "has to be a power of two".
inline void refuse(std::string_view name, std::string_view why) {
  detail::module().api->refuse_option(detail::module().worker, detail::to_text(name), detail::to_text(why));
}

inline std::optional<prong_option> find(std::string_view name) {
  prong_option option{};
  option.size = sizeof option;
  if (!detail::module().api->option(detail::module().worker, detail::to_text(name), &option)) return std::nullopt;
  return option;
}
inline bool has(std::string_view name) {
  return find(name).has_value();
}

inline std::string text(std::string_view name, std::string_view fallback = {}) {
  const auto option = find(name);
  if (!option) return std::string(fallback);
  if (option->kind == PRONG_TEXT) return std::string(detail::to_view(option->text));
  refuse(name, "has to be a string");
  return std::string(fallback);
}
// One that has to be there.
inline std::string required_text(std::string_view name) {
  if (!has(name)) throw Error("the option \"" + std::string(name) + "\" is missing");
  return text(name);
}
inline bool boolean(std::string_view name, bool fallback) {
  const auto option = find(name);
  if (!option) return fallback;
  if (option->kind == PRONG_BOOLEAN) return option->boolean;
  refuse(name, "has to be true or false");
  return fallback;
}
inline std::int64_t integer(std::string_view name, std::int64_t fallback,
                            std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                            std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  const auto option = find(name);
  if (!option) return fallback;
  if (option->kind == PRONG_INTEGER && option->integer >= least && option->integer <= most) return option->integer;
  refuse(name, "has to be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return fallback;
}
inline double real(std::string_view name, double fallback) {
  const auto option = find(name);
  if (!option) return fallback;
  if (option->kind == PRONG_REAL || option->kind == PRONG_INTEGER) return option->real;
  refuse(name, "has to be a number");
  return fallback;
}
// Written "30s", "250ms".
inline std::chrono::nanoseconds duration(std::string_view name, std::chrono::nanoseconds fallback) {
  const auto option = find(name);
  if (!option) return fallback;
  std::uint64_t nanoseconds = 0;
  if (option->kind == PRONG_TEXT && detail::module().api->parse_duration(option->text, &nanoseconds))
    return std::chrono::nanoseconds{static_cast<std::int64_t>(nanoseconds)};
  refuse(name, "has to be a duration, such as \"30s\" or \"250ms\"");
  return fallback;
}
// Bytes, written "64KiB".
inline std::uint64_t size(std::string_view name, std::uint64_t fallback) {
  const auto option = find(name);
  if (!option) return fallback;
  std::uint64_t bytes = 0;
  if (option->kind == PRONG_TEXT && detail::module().api->parse_size(option->text, &bytes)) return bytes;
  refuse(name, "has to be a size, such as \"64KiB\"");
  return fallback;
}
// How many entries a list has, whose names are "peers[0]", "peers[1]", "backends[0].host"; nothing: there is no list.
inline std::optional<std::size_t> count(std::string_view name) {
  const std::int64_t number = detail::module().api->option_count(detail::module().worker, detail::to_text(name));
  if (number < 0) return std::nullopt;
  return static_cast<std::size_t>(number);
}
inline std::vector<std::string> texts(std::string_view name, std::vector<std::string> fallback = {}) {
  const auto number = count(name);
  if (!number) {
    if (has(name)) refuse(name, "has to be a list of strings");
    return fallback;
  }
  std::vector<std::string> result;
  result.reserve(*number);
  for (std::size_t i = 0; i < *number; ++i) result.push_back(text(std::string(name) + "[" + std::to_string(i) + "]"));
  return result;
}

}  // namespace options

// ---- Metrics --------------------------------------------------------------------------------------------------------

// Numbers of the module's own, which come to `prongctl metrics` and to Prometheus, added up over all workers. Made best
// in the braces; used on any thread. One that cannot be made (a name that is none, too many of them) counts nothing,
// and the log says why. `labels` as Prometheus writes them: `command="get"`.
class Counter {
 public:
  Counter() = default;
  void add(std::uint64_t amount = 1) const {
    if (cell_ != nullptr) __atomic_fetch_add(cell_, amount, __ATOMIC_RELAXED);
  }

 private:
  friend Counter counter(std::string_view name, std::string_view help, std::string_view labels);
  std::uint64_t* cell_ = nullptr;
};

// A number that goes up and down, such as how many entries a cache has. set() is for a gauge that one thread changes.
class Gauge {
 public:
  Gauge() = default;
  void add(std::int64_t amount = 1) const {
    if (cell_ != nullptr) __atomic_fetch_add(cell_, amount, __ATOMIC_RELAXED);
  }
  void set(std::int64_t value) const {
    if (cell_ != nullptr) __atomic_store_n(cell_, value, __ATOMIC_RELAXED);
  }

 private:
  friend Gauge gauge(std::string_view name, std::string_view help, std::string_view labels);
  std::int64_t* cell_ = nullptr;
};

// How long something took.
class Histogram {
 public:
  Histogram() = default;
  template <class Rep, class Period>
  void observe(std::chrono::duration<Rep, Period> duration) const {
    if (cells_ != nullptr) detail::module().api->observe(cells_, detail::nanoseconds(duration));
  }

 private:
  friend Histogram histogram(std::string_view name, std::string_view help, std::string_view labels);
  prong_histogram* cells_ = nullptr;
};

namespace detail {
inline prong_metric metric(std::string_view name, std::string_view help, std::string_view labels) {
  prong_metric result{};
  result.size = sizeof result;
  result.name = to_text(name);
  result.labels = to_text(labels);
  result.help = to_text(help);
  return result;
}
}  // namespace detail

inline Counter counter(std::string_view name, std::string_view help, std::string_view labels = {}) {
  const prong_metric metric = detail::metric(name, help, labels);
  Counter result;
  result.cell_ = detail::module().api->counter(detail::module().worker, &metric);
  return result;
}
inline Gauge gauge(std::string_view name, std::string_view help, std::string_view labels = {}) {
  const prong_metric metric = detail::metric(name, help, labels);
  Gauge result;
  result.cell_ = detail::module().api->gauge(detail::module().worker, &metric);
  return result;
}
inline Histogram histogram(std::string_view name, std::string_view help, std::string_view labels = {}) {
  const prong_metric metric = detail::metric(name, help, labels);
  Histogram result;
  result.cells_ = detail::module().api->histogram(detail::module().worker, &metric);
  return result;
}

// ---- Timers and descriptors -----------------------------------------------------------------------------------------

// A timer that runs. Ends with this object, also from within its own function; detach() lets it go on without.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  Timer(Timer&& other) noexcept
      : timer_(std::exchange(other.timer_, 0)), callback_(std::exchange(other.callback_, 0)) {}
  Timer& operator=(Timer&& other) noexcept {
    if (this != &other) {
      stop();
      timer_ = std::exchange(other.timer_, 0);
      callback_ = std::exchange(other.callback_, 0);
    }
    return *this;
  }
  ~Timer() { stop(); }

  // It fires no more.
  void stop() {
    if (timer_ == 0 || detail::current == nullptr) return;
    detail::module().api->stop_timer(detail::module().worker, std::exchange(timer_, 0));
    detail::module().callbacks.remove(std::exchange(callback_, 0));
  }
  void detach() { timer_ = 0; }

 private:
  template <class Rep, class Period, class Function>
  friend Timer after(std::chrono::duration<Rep, Period> time, Function&& function);
  template <class Rep, class Period, class Function>
  friend Timer every(std::chrono::duration<Rep, Period> time, Function&& function);
  static Timer start(std::uint64_t after, std::uint64_t every, detail::Callbacks::Function function) {
    detail::Module& module = detail::module();
    Timer result;
    result.callback_ = module.callbacks.add(std::move(function));
    result.timer_ =
        module.api->start_timer(module.worker, after, every, every == 0 ? detail::call_back_once : detail::call_back,
                                detail::as_context(result.callback_));
    if (result.timer_ != 0) return result;
    module.callbacks.remove(result.callback_);
    throw std::bad_alloc();
  }

  std::uint64_t timer_ = 0;
  std::uintptr_t callback_ = 0;
};

// Once, after that time. In `thread` and `process` when an application thread is between two requests.
template <class Rep, class Period, class Function>
[[nodiscard]] Timer after(std::chrono::duration<Rep, Period> time, Function&& function) {
  return Timer::start(detail::nanoseconds(time), 0, detail::without_arguments(std::forward<Function>(function)));
}
// Again and again.
template <class Rep, class Period, class Function>
[[nodiscard]] Timer every(std::chrono::duration<Rep, Period> time, Function&& function) {
  const std::uint64_t nanoseconds = detail::nanoseconds(time);
  return Timer::start(nanoseconds, nanoseconds > 0 ? nanoseconds : 1,
                      detail::without_arguments(std::forward<Function>(function)));
}

// A descriptor that is watched, in `event`. Ends with this object, which has to come before the descriptor is closed.
class Watch {
 public:
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  Watch(Watch&& other) noexcept
      : watch_(std::exchange(other.watch_, 0)), callback_(std::exchange(other.callback_, 0)) {}
  Watch& operator=(Watch&& other) noexcept {
    if (this != &other) {
      stop();
      watch_ = std::exchange(other.watch_, 0);
      callback_ = std::exchange(other.callback_, 0);
    }
    return *this;
  }
  ~Watch() { stop(); }

  void stop() {
    if (watch_ == 0 || detail::current == nullptr) return;
    detail::module().api->stop_watch(detail::module().worker, std::exchange(watch_, 0));
    detail::module().callbacks.remove(std::exchange(callback_, 0));
  }
  // Other events. Throws Error.
  void change(std::uint32_t events) {
    if (detail::module().api->change_watch(detail::module().worker, watch_, events) != PRONG_OK)
      throw Error("the descriptor cannot be watched");
  }

 private:
  friend Watch watch(int descriptor, std::uint32_t events, std::function<void(std::uint32_t)> function);
  std::uint64_t watch_ = 0;
  std::uintptr_t callback_ = 0;
};

// Calls function(what happened) whenever the descriptor is so, PRONG_READABLE | PRONG_WRITABLE; `event` alone. Borrows
// the descriptor, which should not block. Throws Error.
[[nodiscard]] inline Watch watch(int descriptor, std::uint32_t events, std::function<void(std::uint32_t)> function) {
  detail::Module& module = detail::module();
  Watch result;
  result.callback_ = module.callbacks.add(std::move(function));
  result.watch_ = module.api->watch(module.worker, descriptor, events, detail::call_back_with,
                                    detail::as_context(result.callback_));
  if (result.watch_ != 0) return result;
  module.callbacks.remove(result.callback_);
  throw Error("the descriptor cannot be watched: only sockets, pipes and their like, and in `event` concurrency");
}

// ---- HTTP -----------------------------------------------------------------------------------------------------------

struct Header {
  std::string_view name;
  std::string_view value;
};

// The other end of a connection.
struct Address {
  std::string_view address;  // "192.0.2.7", "2001:db8::7"; empty of a UNIX socket
  std::uint16_t port = 0;
};

namespace detail {
template <class Ask>
Address address(Ask&& ask) {
  prong_address raw{};
  raw.size = sizeof raw;
  ask(&raw);
  Address result;
  result.address = to_view(raw.address);
  result.port = static_cast<std::uint16_t>(raw.port);
  return result;
}
}  // namespace detail

// One request. All views live until the function that got it returns, also if the answer is deferred: copy what is
// needed then.
class Request {
 public:
  explicit Request(const prong_request* raw) : raw_(raw) {}

  std::string_view method() const { return detail::to_view(raw_->method); }      // "GET"
  std::string_view path() const { return detail::to_view(raw_->path); }          // decoded: "/a b"
  std::string_view raw_path() const { return detail::to_view(raw_->raw_path); }  // as sent: "/a%20b"
  std::string_view prefix() const { return detail::to_view(raw_->prefix); }      // what path_prefix took off, as sent
  std::string_view target() const { return detail::to_view(raw_->target); }      // as sent: "/a%20b?x=1"
  std::string_view host() const { return detail::to_view(raw_->host); }          // may be empty
  std::string_view raw_query() const { return detail::to_view(raw_->query); }    // as sent, without '?'
  unsigned version_minor() const { return raw_->version_minor; }                 // of HTTP/1.x

  // The first value of that name in the query, decoded.
  std::optional<std::string_view> query(std::string_view name) const {
    prong_text value{};
    if (!api().query(raw_, detail::to_text(name), &value)) return std::nullopt;
    return detail::to_view(value);
  }
  // All of them, in their order, decoded.
  std::vector<std::pair<std::string_view, std::string_view>> queries() const {
    std::vector<std::pair<std::string_view, std::string_view>> result;
    prong_text name{};
    prong_text value{};
    while (api().query_at(raw_, result.size(), &name, &value))
      result.emplace_back(detail::to_view(name), detail::to_view(value));
    return result;
  }
  // The value of the first header of that name, in whatever case.
  std::optional<std::string_view> header(std::string_view name) const {
    prong_text value{};
    if (!api().header(raw_, detail::to_text(name), &value)) return std::nullopt;
    return detail::to_view(value);
  }
  std::vector<Header> headers() const {
    std::vector<Header> result;
    result.reserve(raw_->header_count);
    prong_header header{};
    for (std::size_t i = 0; i < raw_->header_count && api().header_at(raw_, i, &header); ++i)
      result.push_back(Header{detail::to_view(header.name), detail::to_view(header.value)});
    return result;
  }
  // The other end of the connection, which may be a proxy.
  Address peer() const {
    return detail::address([this](prong_address* raw) { api().peer(raw_, raw); });
  }
  // The client, as far as a trusted proxy tells of it (`trusted_proxies` of the pool); else the peer.
  Address client() const {
    return detail::address([this](prong_address* raw) { api().client(raw_, raw); });
  }
  // "http", or what a trusted proxy says: "https".
  std::string_view scheme() const { return detail::to_view(api().scheme(raw_)); }

  bool has_body() const { return raw_->has_body; }
  std::uint64_t body_size() const { return raw_->body_size; }
  // The whole of it, up to the pool's http.max_body. One that is large waits in a file, from which this reads it: see
  // read_body(), which needs no memory for it. Throws Error, std::bad_alloc.
  std::string_view body() const {
    if (raw_->body.size == raw_->body_size) return detail::to_view(raw_->body);
    if (read_.size() != raw_->body_size) {
      std::string text(static_cast<std::size_t>(raw_->body_size), '\0');
      if (read_body(0, text.data(), text.size()) != text.size()) throw Error("the body of the request cannot be read");
      read_ = std::move(text);
    }
    return read_;
  }
  // Bytes of it from `offset` on: how many, 0 at its end. From a file it blocks as the disk does. Throws Error.
  std::size_t read_body(std::uint64_t offset, char* buffer, std::size_t size) const {
    const std::ptrdiff_t got = api().read_body(raw_, offset, buffer, size);
    if (got < 0) throw Error("the body of the request cannot be read");
    return static_cast<std::size_t>(got);
  }
#ifdef __cpp_lib_span
  std::size_t read_body(std::uint64_t offset, std::span<char> buffer) const {
    return read_body(offset, buffer.data(), buffer.size());
  }
#endif

  const prong_request* raw() const { return raw_; }

 private:
  static const prong_api& api() { return *detail::module().api; }

  const prong_request* raw_;
  mutable std::string read_;
};

// Where a body that is made while it is sent is written to.
class Body {
 public:
  explicit Body(prong_body* raw) : raw_(raw) {}
  void write(std::string_view bytes) { detail::module().api->body_write(raw_, detail::to_text(bytes)); }

  prong_body* raw() const { return raw_; }

 private:
  prong_body* raw_;
};
// What such a body's function says when it has written something, or nothing.
// NOLINTNEXTLINE(performance-enum-size): the C ABI's
enum class Next : int {
  kMore = PRONG_BODY_MORE,  // something was written, and there is more
  kWait = PRONG_BODY_WAIT,  // nothing more now: BodyWaker::wake() will be called. In `event` alone
  kEnd = PRONG_BODY_END,    // that was all
  kCut = PRONG_BODY_CUT     // it cannot go on: the connection is cut
};

namespace detail {
struct BodyState {
  prong_body* body = nullptr;  // nullptr: not begun, or over
  bool over = false;
};
struct Source {
  std::function<Next(Body&, std::size_t)> read;
  std::shared_ptr<BodyState> state = std::make_shared<BodyState>();
};
}  // namespace detail

// Tells prongd that a body which said Next::kWait has more. May outlive the body, and does nothing then. `event` alone,
// from any callback.
class BodyWaker {
 public:
  BodyWaker() = default;
  explicit BodyWaker(std::shared_ptr<detail::BodyState> state) : state_(std::move(state)) {}
  void wake() const {
    if (state_ && state_->body != nullptr) detail::module().api->body_resume(state_->body);
  }
  // Whether nobody wants more of the body: it has ended, or its client is gone.
  bool over() const { return !state_ || state_->over; }

 private:
  std::shared_ptr<detail::BodyState> state_;
};

// What answers a request have in common: one of text(), send(), file(), stream(), once. All of them throw Error when
// the request has been answered before, or for a status (200 to 599) or a header that cannot be.
class Answer {
 public:
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  // A header of the answer, before it is sent. Not for Date, Server, Content-Length, Transfer-Encoding, Connection.
  Answer& header(std::string_view name, std::string_view value) {
    headers_.emplace_back(name, value);
    return *this;
  }
  // Plain text in UTF-8, if no Content-Type was said.
  void text(unsigned status, std::string_view body) { send_as(status, body, "text/plain; charset=utf-8"); }
  void html(unsigned status, std::string_view body) { send_as(status, body, "text/html; charset=utf-8"); }
  void json(unsigned status, std::string_view body) { send_as(status, body, "application/json"); }
  // Any bytes, with the headers that were said.
  void send(unsigned status, std::string_view body = {}) { send_as(status, body, {}); }
  // The same without a copy of a large body.
  void send(unsigned status, std::string&& body) {
    constexpr std::size_t kCopied = std::size_t{16} << 10U;
    if (body.size() <= kCopied) return send_as(status, body, {});
    auto owned = std::make_unique<std::string>(std::move(body));
    prong_response response = head(status, {});
    response.body = detail::to_text(*owned);
    response.release = [](void* owner) { delete static_cast<std::string*>(owner); };
    response.owner = owned.release();
    finish(detail::module().api->respond(exchange_, &response));
  }
  void send(unsigned status, const char* body) { send_as(status, body, {}); }
  // A regular file, or a part of it, by sendfile(2). False: there is no such file that can be read, and nothing was
  // answered; errno says why.
  bool file(unsigned status, const std::string& path, std::string_view content_type = "application/octet-stream") {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return false;
    struct stat about{};
    if (::fstat(descriptor, &about) != 0 || !S_ISREG(about.st_mode)) {
      (void)::close(descriptor);
      errno = ENOENT;
      return false;
    }
    file(status, descriptor, 0, static_cast<std::uint64_t>(about.st_size), content_type);
    return true;
  }
  // Of a descriptor, which is taken over.
  void file(unsigned status, int descriptor, std::uint64_t offset, std::uint64_t length,
            std::string_view content_type = "application/octet-stream") {
    prong_response response{};
    try {
      response = head(status, content_type);
    } catch (...) {
      (void)::close(descriptor);
      throw;
    }
    finish(detail::module().api->respond_file(exchange_, &response, descriptor, offset, length));
  }
  // A body that is made while it is sent. `read` is called whenever little of it waits for the client, with how many
  // bytes are best written: Next read(prong::Body& body, std::size_t room). `length`: of the whole, if it is known.
  template <class Read>
  BodyWaker stream(unsigned status, Read&& read, std::optional<std::uint64_t> length = std::nullopt) {
    auto kept = std::make_shared<std::decay_t<Read>>(std::forward<Read>(read));
    auto source = std::make_unique<detail::Source>();
    source->read = [kept](Body& body, std::size_t room) { return (*kept)(body, room); };
    const std::shared_ptr<detail::BodyState> state = source->state;
    prong_source raw{};
    raw.size = sizeof raw;
    raw.length = length ? static_cast<std::int64_t>(*length) : -1;
    raw.read = [](void* context, prong_body* body, std::size_t room) {
      auto& self = *static_cast<detail::Source*>(context);
      self.state->body = body;
      return detail::guarded(
          [&] {
            Body face{body};
            return static_cast<int>(self.read(face, room));
          },
          static_cast<int>(PRONG_BODY_CUT));
    };
    raw.close = [](void* context) {
      const std::unique_ptr<detail::Source> ended(static_cast<detail::Source*>(context));
      ended->state->body = nullptr;
      ended->state->over = true;
    };
    const prong_response response = head(status, {});
    raw.context = source.release();
    finish(detail::module().api->respond_stream(exchange_, &response, &raw));
    return BodyWaker{state};
  }

 protected:
  explicit Answer(prong_exchange* exchange) : exchange_(exchange) {}
  Answer(Answer&& other) noexcept
      : exchange_(std::exchange(other.exchange_, nullptr)), headers_(std::move(other.headers_)) {}
  Answer& operator=(Answer&& other) noexcept {
    exchange_ = std::exchange(other.exchange_, nullptr);
    headers_ = std::move(other.headers_);
    return *this;
  }
  ~Answer() = default;

  // After an answer: a deferred exchange is over then.
  virtual void answered() noexcept {}

  prong_exchange* exchange_;

 private:
  void send_as(unsigned status, std::string_view body, std::string_view content_type) {
    prong_response response = head(status, content_type);
    response.body = detail::to_text(body);
    finish(detail::module().api->respond(exchange_, &response));
  }
  prong_response head(unsigned status, std::string_view content_type) {
    if (exchange_ == nullptr) throw Error("the request has been answered before");
    raw_headers_.clear();
    bool has_type = false;
    for (const auto& [name, value] : headers_) {
      raw_headers_.push_back(prong_header{detail::to_text(name), detail::to_text(value)});
      has_type = has_type || is_content_type(name);
    }
    if (!has_type && !content_type.empty())
      raw_headers_.push_back(prong_header{detail::to_text("Content-Type"), detail::to_text(content_type)});
    prong_response response{};
    response.size = sizeof response;
    response.status = status;
    response.headers = raw_headers_.data();
    response.header_count = raw_headers_.size();
    return response;
  }
  static bool is_content_type(std::string_view name) {
    constexpr std::string_view kName = "content-type";
    if (name.size() != kName.size()) return false;
    for (std::size_t i = 0; i < kName.size(); ++i)
      if ((name[i] | 0x20) != kName[i]) return false;
    return true;
  }
  void finish(int result) {
    if (result == PRONG_TWICE || result == PRONG_INVALID || result == PRONG_NO_MEMORY) detail::refuse_answer(result);
    answered();
  }

  std::vector<std::pair<std::string, std::string>> headers_;
  std::vector<prong_header> raw_headers_;
};

// An answer that comes later, from any callback; `event` alone. Whose client has gone is answered to nobody. One that
// ends without an answer is answered with 500.
class Deferred final : public Answer {
 public:
  explicit Deferred(prong_exchange* exchange) : Answer(exchange) {}
  // Each takes its own part of it. NOLINTNEXTLINE(bugprone-use-after-move)
  Deferred(Deferred&& other) noexcept : Answer(std::move(other)), gone_(std::exchange(other.gone_, 0)) {}
  Deferred& operator=(Deferred&& other) noexcept {
    if (this != &other) {
      drop();
      gone_ = std::exchange(other.gone_, 0);
      Answer::operator=(std::move(other));
    }
    return *this;
  }
  ~Deferred() { drop(); }
  // Calls it once when the client has gone, or has got 504 because the pool's request_timeout was over.
  template <class Function>
  void on_gone(Function&& function) {
    if (exchange_ == nullptr) return;
    gone_ = detail::module().callbacks.add(detail::without_arguments(std::forward<Function>(function)));
    detail::module().api->on_gone(exchange_, detail::call_back, detail::as_context(gone_));
  }

 private:
  void drop() noexcept {
    if (exchange_ != nullptr && detail::current != nullptr) detail::module().api->drop(exchange_);
    answered();
  }
  void answered() noexcept override {
    exchange_ = nullptr;
    if (gone_ != 0 && detail::current != nullptr) detail::module().callbacks.remove(std::exchange(gone_, 0));
  }
  std::uintptr_t gone_ = 0;
};

// The answer to a request, while on_request() has it.
class Response final : public Answer {
 public:
  explicit Response(prong_exchange* exchange) : Answer(exchange) {}
  Response(Response&&) = delete;
  Response& operator=(Response&&) = delete;
  ~Response() = default;

  // The answer comes later. Throws Error but in `event`.
  [[nodiscard]] Deferred defer() {
    prong_exchange* const later = exchange_ == nullptr ? nullptr : detail::module().api->defer(exchange_);
    if (later == nullptr)
      throw Error("the answer cannot come later: only in `event` concurrency, and before it was given");
    exchange_ = nullptr;
    return Deferred{later};
  }
};

// A body that is taken piece by piece: made by on_upload(), ended when its request is over, however.
class Upload {
 public:
  Upload() = default;
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  virtual ~Upload() = default;

  // The next bytes, in `event` as they arrive. False: enough, finish() is called at once, and the rest is not wanted.
  virtual bool piece(std::string_view bytes) = 0;
  // In place of on_request(): all pieces have come.
  virtual void finish(const Request& request, Response& response) = 0;
};

// Answers all requests. In `thread` on several threads at once.
inline void on_request(std::function<void(const Request& request, Response& response)> function) {
  detail::module().on_request = std::move(function);
}
// Asked for each request that has a body: who takes it piece by piece; nullptr: nobody, it is collected for
// on_request().
inline void on_upload(std::function<std::unique_ptr<Upload>(const Request& request)> function) {
  detail::module().on_upload = std::move(function);
}

// ---- Streams --------------------------------------------------------------------------------------------------------

namespace detail {
// What a module keeps of a connection.
struct Attachment {
  Attachment() = default;
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;
  virtual ~Attachment() = default;
};
template <class T>
struct AttachmentOf final : Attachment {
  template <class... Args>
  explicit AttachmentOf(Args&&... args) : value{std::forward<Args>(args)...} {}
  T value;
};
}  // namespace detail

// One client of a stream module in `event`. A name for it, to be copied and compared; valid until on_close() returns.
class Connection {
 public:
  explicit Connection(prong_connection* raw) : raw_(raw) {}

  // Sends bytes behind those that were sent before; never blocks. How many more are wise to send now; 0: wait for
  // on_writable(). More is taken all the same, up to the pool's stream.max_output; beyond it the connection is cut.
  std::size_t send(std::string_view bytes) const { return api().send(raw_, detail::to_text(bytes)); }
  // Ends it when everything has been sent.
  void close() const { api().close(raw_); }
  // Ends it now, with a reset.
  void cut() const { api().cut(raw_); }
  // Whether on_data() is to be called; false makes the client wait.
  void want_data(bool wanted) const { api().want_data(raw_, wanted); }
  Address peer() const {
    return detail::address([this](prong_address* raw) { api().connection_peer(raw_, raw); });
  }

  // What the module keeps of this connection; ends with it, after on_close().
  template <class T, class... Args>
  T& attach(Args&&... args) const {
    auto owned = std::make_unique<detail::AttachmentOf<T>>(std::forward<Args>(args)...);
    T& value = owned->value;
    delete static_cast<detail::Attachment*>(*api().context(raw_));
    *api().context(raw_) = static_cast<detail::Attachment*>(owned.release());
    return value;
  }
  // What was attached, which has to be a T. Throws Error: nothing was.
  template <class T>
  T& attached() const {
    auto* const held = static_cast<detail::Attachment*>(*api().context(raw_));
    auto* const typed = dynamic_cast<detail::AttachmentOf<T>*>(held);
    if (typed == nullptr) throw Error("nothing of that type is attached to the connection");
    return typed->value;
  }

  prong_connection* raw() const { return raw_; }
  friend bool operator==(Connection left, Connection right) { return left.raw_ == right.raw_; }
  friend bool operator!=(Connection left, Connection right) { return left.raw_ != right.raw_; }
  friend bool operator<(Connection left, Connection right) {
    return std::less<prong_connection*>{}(left.raw_, right.raw_);
  }

 private:
  static const prong_api& api() { return *detail::module().api; }
  prong_connection* raw_;
};

// One client of a stream module in `process` and `thread`: its functions wait.
class BlockingConnection {
 public:
  explicit BlockingConnection(prong_connection* raw) : raw_(raw) {}
  BlockingConnection(const BlockingConnection&) = delete;
  BlockingConnection& operator=(const BlockingConnection&) = delete;

  enum class State : std::uint8_t {
    kData,      // `bytes` has come
    kEnd,       // the client will send no more
    kTimeout,   // nothing came in time
    kDraining,  // nothing has come, and the worker is to end: read_or_drain()
    kGone,      // the connection is lost
  };
  struct Received {
    State state = State::kGone;
    std::string_view bytes;  // in the buffer that was given
    explicit operator bool() const { return state == State::kData; }
  };

  // Waits for bytes. Without a timeout as long as the pool's stream.idle_timeout allows.
  Received read(char* buffer, std::size_t size, std::chrono::nanoseconds timeout = {}) {
    return read_with(buffer, size, timeout, 0);
  }
  // The same, and comes back as soon as the worker is to end: between two requests of a client, say.
  Received read_or_drain(char* buffer, std::size_t size, std::chrono::nanoseconds timeout = {}) {
    return read_with(buffer, size, timeout, PRONG_OR_DRAIN);
  }
#ifdef __cpp_lib_span
  Received read(std::span<char> buffer, std::chrono::nanoseconds timeout = {}) {
    return read(buffer.data(), buffer.size(), timeout);
  }
  Received read_or_drain(std::span<char> buffer, std::chrono::nanoseconds timeout = {}) {
    return read_or_drain(buffer.data(), buffer.size(), timeout);
  }
#endif
  // Sends, and waits while more than stream.buffer waits for the client. False: the connection is lost.
  bool write(std::string_view bytes) { return detail::module().api->write(raw_, detail::to_text(bytes)) == PRONG_OK; }
  // Ends it with a reset when on_connection() returns; otherwise everything is sent first.
  void cut() { detail::module().api->cut(raw_); }
  Address peer() const {
    return detail::address([this](prong_address* raw) { detail::module().api->connection_peer(raw_, raw); });
  }

 private:
  Received read_with(char* buffer, std::size_t size, std::chrono::nanoseconds timeout, std::uint32_t flags) {
    const std::ptrdiff_t got = detail::module().api->read(raw_, buffer, size, detail::nanoseconds(timeout), flags);
    Received received;
    if (got > 0) {
      received.state = State::kData;
      received.bytes = std::string_view(buffer, static_cast<std::size_t>(got));
    } else if (got == PRONG_END) {
      received.state = State::kEnd;
    } else if (got == PRONG_TIMEOUT) {
      received.state = State::kTimeout;
    } else if (got == PRONG_DRAINING) {
      received.state = State::kDraining;
    }
    return received;
  }
  prong_connection* raw_;
};

// `event`: a client has come; what is sent now comes before it has said anything.
inline void on_open(std::function<void(Connection& connection)> function) {
  detail::module().on_open = std::move(function);
}
// `event`: bytes of the client, at least one, cut anywhere.
inline void on_data(std::function<void(Connection& connection, std::string_view bytes)> function) {
  detail::module().on_data = std::move(function);
}
// `event`: the client will send no more. Without this function the connection is closed then.
inline void on_end(std::function<void(Connection& connection)> function) {
  detail::module().on_end = std::move(function);
}
// `event`: there is room again, after send() gave 0.
inline void on_writable(std::function<void(Connection& connection)> function) {
  detail::module().on_writable = std::move(function);
}
// `event`: it is gone, whoever ended it.
inline void on_close(std::function<void(Connection& connection)> function) {
  detail::module().on_close = std::move(function);
}
// `process` and `thread`: talks with one client, and returns when it is done; then the connection is closed.
inline void on_connection(std::function<void(BlockingConnection& connection)> function) {
  detail::module().on_connection = std::move(function);
}

// ---- The callbacks of the C ABI -------------------------------------------------------------------------------------

namespace detail {

enum class Kind : std::uint8_t { kHttp, kStream };

inline void check_callbacks(Kind kind) {
  const Module& module = detail::module();
  if (kind == Kind::kHttp) {
    if (!module.on_request) throw Error("the module has not called prong::on_request()");
  } else if (worker().model == Model::kEvent) {
    if (!module.on_data)
      throw Error("the module has not called prong::on_data(), so it does not run in concurrency = \"event\"");
  } else if (!module.on_connection) {
    throw Error("the module has not called prong::on_connection(), so it runs in concurrency = \"event\" alone");
  }
}

template <void (*kStart)(), Kind kKind>
int start(const prong_api* api, prong_worker* raw_worker, void** /*state*/) {
  current = new (std::nothrow) Module;
  if (current == nullptr) return PRONG_NO_MEMORY;
  current->api = api;
  current->worker = raw_worker;
  const int result = guarded(
      [] {
        kStart();
        check_callbacks(kKind);
        return static_cast<int>(PRONG_OK);
      },
      static_cast<int>(PRONG_FAILED));
  // There will be no stop(), and what outlives this (in a variable of the module, say) finds no worker.
  if (result != PRONG_OK) delete std::exchange(current, nullptr);
  return result;
}
inline void drain(void* /*state*/) {
  if (module().on_drain) guarded([] { module().on_drain(); });
}
inline void stop(void* /*state*/) {
  if (module().on_stop) guarded([] { module().on_stop(); });
  delete std::exchange(current, nullptr);
}

inline int body(void* /*state*/, const prong_request* request, void** upload) {
  if (!module().on_upload) return PRONG_BODY_KEEP;
  return guarded(
      [&] {
        const Request face{request};
        std::unique_ptr<Upload> made = module().on_upload(face);
        if (made == nullptr) return static_cast<int>(PRONG_BODY_KEEP);
        *upload = made.release();
        return static_cast<int>(PRONG_BODY_PIECES);
      },
      static_cast<int>(PRONG_FAILED));
}
inline int piece(void* /*state*/, void* upload, prong_text bytes) {
  return guarded([&] { return static_cast<Upload*>(upload)->piece(to_view(bytes)) ? 0 : 1; },
                 static_cast<int>(PRONG_FAILED));
}
inline void end_upload(void* /*state*/, void* upload) {
  delete static_cast<Upload*>(upload);
}
inline void request(void* /*state*/, const prong_request* raw, prong_exchange* exchange, void* upload) {
  guarded([&] {
    const Request face{raw};
    Response response{exchange};
    if (upload != nullptr)
      static_cast<Upload*>(upload)->finish(face, response);
    else
      module().on_request(face, response);
  });
}

inline void open(void* /*state*/, prong_connection* raw) {
  if (!module().on_open) return;
  guarded([&] {
    Connection connection{raw};
    module().on_open(connection);
  });
}
inline void data(void* /*state*/, prong_connection* raw, prong_text bytes) {
  guarded([&] {
    Connection connection{raw};
    module().on_data(connection, to_view(bytes));
  });
}
inline void end(void* /*state*/, prong_connection* raw) {
  guarded([&] {
    Connection connection{raw};
    if (module().on_end)
      module().on_end(connection);
    else
      connection.close();
  });
}
inline void writable(void* /*state*/, prong_connection* raw) {
  if (!module().on_writable) return;
  guarded([&] {
    Connection connection{raw};
    module().on_writable(connection);
  });
}
inline void closed(void* /*state*/, prong_connection* raw) {
  guarded([&] {
    Connection connection{raw};
    if (module().on_close) module().on_close(connection);
  });
  delete static_cast<Attachment*>(std::exchange(*module().api->context(raw), nullptr));
}
inline void serve(void* /*state*/, prong_connection* raw) {
  guarded([&] {
    BlockingConnection connection{raw};
    module().on_connection(connection);
  });
}

template <void (*kStart)()>
constexpr prong_module http_module(const char* name, Models models = {}) {
  prong_module result{};
  result.size = sizeof(prong_module);
  result.abi = PRONG_ABI;
  result.name = name;
  result.models = models.bits;
  result.start = start<kStart, Kind::kHttp>;
  result.drain = drain;
  result.stop = stop;
  result.body = body;
  result.piece = piece;
  result.end_upload = end_upload;
  result.request = request;
  return result;
}
template <void (*kStart)()>
constexpr prong_module stream_module(const char* name, Models models = {}) {
  prong_module result{};
  result.size = sizeof(prong_module);
  result.abi = PRONG_ABI;
  result.name = name;
  result.models = models.bits;
  result.start = start<kStart, Kind::kStream>;
  result.drain = drain;
  result.stop = stop;
  result.open = open;
  result.data = data;
  result.end = end;
  result.writable = writable;
  result.closed = closed;
  result.serve = serve;
  return result;
}

}  // namespace detail
}  // namespace prong

#pragma GCC visibility pop

// A module that answers HTTP requests; behind its name the models that it can run in, if not all:
// PRONG_HTTP_MODULE(thumbnails, prong::Model::kProcess | prong::Model::kThread) { ... }. Once in a library.
#define PRONG_HTTP_MODULE(...) PRONG_SELECT(__VA_ARGS__, PRONG_DEFINE_FOR, PRONG_DEFINE, ~)(http_module, __VA_ARGS__)
// A module that talks with its clients in a language of its own.
#define PRONG_STREAM_MODULE(...) \
  PRONG_SELECT(__VA_ARGS__, PRONG_DEFINE_FOR, PRONG_DEFINE, ~)(stream_module, __VA_ARGS__)

// Not for modules.
#define PRONG_SELECT(ONE, TWO, CHOSEN, ...) CHOSEN
#define PRONG_DEFINE(KIND, NAME) PRONG_DEFINE_FOR(KIND, NAME, prong::Models{})
#define PRONG_DEFINE_FOR(KIND, NAME, MODELS)                                                                  \
  static void prong_start_##NAME();                                                                           \
  extern "C" const prong_module prong_module_entry = prong::detail::KIND<&prong_start_##NAME>(#NAME, MODELS); \
  static void prong_start_##NAME()
