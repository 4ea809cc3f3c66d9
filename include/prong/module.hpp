// The SDK of prongd for modules: the C++ face of prong/module.h, which see for what holds everywhere (threads, memory,
// versions). Header-only, C++17 or newer with exceptions and run-time type information, links with nothing.
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
// that one would have to pass on.
//
// Functions that are given to on_...(), after() and their like are called on the threads that prong/module.h names.
// They may be such as can only be moved, and live until the worker's good end. They end after on_stop(), and what they
// hold ends with them; it may still use what is in here. Variables of the library never end: no static destructor runs.
//
// What is in here is for the thread of a callback, while it runs, unless it says "any thread". Nothing blocks unless it
// says so. Before the braces run, and in a library that has none, functions throw prong::Error. At the worker's end,
// which threads of the module's own may outlive, those functions that they may call do nothing.
//
// Exceptions: whatever a callback throws ends there: the request is answered with 500, the stream is cut, in the braces
// the worker does not start; the log says what(). Functions in here throw prong::Error where they say so, and
// std::bad_alloc wherever there is no memory.
#pragma once

#if __cplusplus < 201703L
#error "prong/module.hpp needs C++17 or newer: build with -std=c++17, or use prong/module.h, which is C99"
#endif
#if !defined(__cpp_rtti)
#error "prong/module.hpp needs run-time type information: build without -fno-rtti, or use prong/module.h"
#endif
#if !defined(__cpp_exceptions)
#error "prong/module.hpp needs exceptions: build without -fno-exceptions, or use prong/module.h, which has none"
#endif

#include <fcntl.h>
#include <prong/module.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
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
#include <ratio>
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
// A set of them; empty: all that the module's functions allow.
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

  // After clear() it is kept to the end of the process: it was given by a thread that has no right to end it.
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
  // Ends them all, also those that come while others end.
  void clear() {
    while (true) {
      std::unordered_map<std::uintptr_t, std::shared_ptr<Function>> ended;  // without the lock, as in remove()
      const std::lock_guard<std::mutex> lock(mutex_);
      if (functions_.empty()) return;
      ended.swap(functions_);
    }
  }

 private:
  std::mutex mutex_;
  std::uintptr_t last_ = 0;
  std::unordered_map<std::uintptr_t, std::shared_ptr<Function>> functions_;
};

template <class Function>
struct IsStdFunction : std::false_type {};
template <class Signature>
struct IsStdFunction<std::function<Signature>> : std::true_type {};

// Any function as a std::function, which wants to copy: one that can only be moved goes behind a pointer.
template <class Signature>
struct Kept;
template <class Return, class... Args>
struct Kept<Return(Args...)> {
  template <class Function>
  static std::function<Return(Args...)> of(Function&& function) {
    using Held = std::decay_t<Function>;
    if constexpr (std::is_null_pointer_v<Held>) {
      return nullptr;
    } else {
      static_assert(std::is_invocable_r_v<Return, Held&, Args...>,
                    "the function cannot be called with what prongd gives it, or gives back something else");
      if constexpr (IsStdFunction<Held>::value ||
                    (std::is_trivially_copyable_v<Held> && std::is_copy_constructible_v<Held>)) {
        return std::forward<Function>(function);
      } else {
        return [held = std::make_shared<Held>(std::forward<Function>(function))](Args... args) -> Return {
          if constexpr (std::is_void_v<Return>)
            static_cast<void>(std::invoke(*held, std::forward<Args>(args)...));
          else
            return std::invoke(*held, std::forward<Args>(args)...);
        };
      }
    }
  }
};

// What the module has said in its braces.
struct Functions {
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

// The module of this process. Never freed: a thread of the module's own may still run when the worker has ended.
struct Module : Functions {
  const prong_api* api = nullptr;
  prong_worker* worker = nullptr;
  prong_worker_info info = {};  // its texts are the two below
  std::string pool = {};
  std::string path = {};
  Callbacks callbacks = {};
  std::atomic<bool> ended{false};
  bool in_braces = true;

  bool lives() const noexcept { return !ended.load(std::memory_order_acquire); }
};
inline std::atomic<Module*> current{nullptr};  // made by start()

[[noreturn]] inline void refuse_early_use() {
  throw Error("prong is used before the braces of the module, or in a library that has none");
}
inline Module& module() {
  Module* const made = current.load(std::memory_order_acquire);
  if (made == nullptr) refuse_early_use();
  return *made;
}
// For what is said between the braces. Throws Error.
inline Module& module_in_braces() {
  Module& made = module();
  if (!made.in_braces) throw Error("that is said between the braces of the module, before the worker serves");
  return made;
}
// For what needs a worker. Throws Error.
inline Module& living_module() {
  Module& made = module();
  if (!made.lives()) throw Error("the worker has ended");
  return made;
}
// For what ends: nullptr: there is no worker (any more).
inline Module* module_if_living() noexcept {
  Module* const made = current.load(std::memory_order_acquire);
  return made != nullptr && made->lives() ? made : nullptr;
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

// From 0 to the longest that std::chrono has; what is no number is 0.
template <class Rep, class Period>
std::uint64_t nanoseconds(std::chrono::duration<Rep, Period> duration) {
  using Nanoseconds = std::chrono::nanoseconds;
  if (!(duration > duration.zero())) return 0;
  // Near the longest a double is some hundred nanoseconds off, and never on the wrong side.
  const std::chrono::duration<double, std::nano> rough(duration);
  if (rough >= Nanoseconds::max()) return static_cast<std::uint64_t>(Nanoseconds::max().count());
  using Factor = std::ratio_divide<Period, std::nano>;
  if constexpr (std::is_floating_point_v<Rep> || (Factor::num != 1 && Factor::den != 1))
    return static_cast<std::uint64_t>(rough.count());  // the factor of thirds of a second, say, might overflow
  else
    return static_cast<std::uint64_t>(std::chrono::duration_cast<Nanoseconds>(duration).count());
}

// As they are written in a configuration: "90s", "250ms", "64KiB", "100B".
inline std::string duration_text(std::chrono::nanoseconds duration) {
  constexpr std::array<std::pair<std::int64_t, const char*>, 6> units{{{3'600'000'000'000, "h"},
                                                                       {60'000'000'000, "m"},
                                                                       {1'000'000'000, "s"},
                                                                       {1'000'000, "ms"},
                                                                       {1'000, "us"},
                                                                       {1, "ns"}}};
  if (duration == duration.zero()) return "0";
  for (const auto& [unit, name] : units)
    if (duration.count() % unit == 0) return std::to_string(duration.count() / unit) + name;
  return {};
}
inline std::string size_text(std::uint64_t bytes) {
  constexpr std::array<const char*, 4> units{"B", "KiB", "MiB", "GiB"};
  std::size_t unit = 0;
  for (; bytes > 0 && bytes % 1024 == 0 && unit + 1 < units.size(); bytes /= 1024) ++unit;
  return std::to_string(bytes) + units[unit];
}

[[noreturn]] inline void refuse_answer(int result, const char* why) {
  if (result == PRONG_TWICE) throw Error("the request has been answered before");
  if (result == PRONG_NO_MEMORY) throw std::bad_alloc();
  throw Error(why);
}

}  // namespace detail

// ---- The worker -----------------------------------------------------------------------------------------------------

// What this worker is. The texts live until the process ends.
struct Worker {
  Model model = Model::kEvent;
  unsigned threads = 1;     // that run callbacks at once: 1 but in `thread`
  unsigned slot = 0;        // its number in the pool, from 0; its successor has the same
  unsigned generation = 0;  // of the configuration, from 1; one more after each reload
  std::string_view pool;    // its name
  std::string_view path;    // of this module, absolute
};
// Any thread.
//
//   if (prong::worker().model == prong::Model::kEvent) prong::info("must not wait");
inline Worker worker() {
  const detail::Module& module = detail::module();
  Worker result;
  result.model = static_cast<Model>(module.info.model);
  result.threads = module.info.threads;
  result.slot = module.info.slot;
  result.generation = module.info.generation;
  result.pool = module.pool;
  result.path = module.path;
  return result;
}

// One line of the worker's log, which begins with the pool, the worker and its pid: up to the first line end, at most
// 4096 bytes; control characters and bytes that are no UTF-8 are escaped. Any thread; blocks as writing the log does.
inline void log(prong_level level, std::string_view text) {
  const detail::Module& module = detail::module();
  if (module.lives()) module.api->log(module.worker, level, detail::to_text(text));
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

// Whether the worker has been told to end, or has ended. Any thread.
inline bool draining() {
  const detail::Module& module = detail::module();
  return !module.lives() || module.api->draining(module.worker);
}
// Only in the braces; the last one counts. void(): called once when the worker is to end, while what is under way goes
// on: for whoever holds connections open, or waits for something. In `thread` and `process` it is called when a thread
// is free: a talk (on_connection()) that lasts holds it up, and learns of the end by read_or_drain().
template <class Function>
void on_drain(Function&& function) {
  detail::module_in_braces().on_drain = detail::Kept<void()>::of(std::forward<Function>(function));
}
// Only in the braces; the last one counts. void(): called at the worker's good end, on its main thread, after the last
// callback; not after a crash. The place to end threads of the module's own: what they do afterwards in here does
// nothing, and the process ends at once.
//
//   const auto cleaner = std::make_shared<Cleaner>();  // has a thread of its own,
//   prong::on_stop([cleaner] { cleaner->end(); });     // which this joins
template <class Function>
void on_stop(Function&& function) {
  detail::module_in_braces().on_stop = detail::Kept<void()>::of(std::forward<Function>(function));
}

// Runs void() as a callback of its own, where all of the SDK may be used: for threads that the module has started
// itself. Any thread; the order is kept, and no two run at once, nor one beside a timer (requests do, in `thread`).
// What has not run when on_stop() is called never will; what the function holds ends with the worker then, on its own
// thread as always.
//
//   std::thread([later = response.defer()]() mutable {   // `event`
//     std::string text = ask_database();                  // holds nobody up
//     prong::post([later = std::move(later), text = std::move(text)]() mutable { later.text(200, text); });
//   }).detach();
template <class Function>
void post(Function&& function) {
  detail::Module& module = detail::module();
  const std::uintptr_t number = module.callbacks.add(detail::without_arguments(std::forward<Function>(function)));
  if (module.api->post(module.worker, detail::call_back_once, detail::as_context(number)) != PRONG_NO_MEMORY) return;
  module.callbacks.remove(number);
  throw std::bad_alloc();
}

// ---- Options --------------------------------------------------------------------------------------------------------

// The table `options` of the pool. Only in the braces of the module: elsewhere they throw Error. Names are written
// "greeting", "limits.max", "peers[0]", "backends[1].host". A value of the wrong type or out of range keeps the worker
// from starting, and so does what nobody has asked for, be it an option, an empty list or an empty table; the operator
// is told file, line and column of all of them. A function gives its fallback then, so that one goes on to the next.
//
//   const std::string greeting = prong::options::text("greeting", "hello");
//   const std::int64_t size = prong::options::integer("cache.entries", 1'000, 1, 1'000'000);
//   const auto ttl = prong::options::duration("ttl", std::chrono::seconds{30});
namespace options {

// That value cannot be used, and why, behind `the option "NAME" `: "has to be a power of two". May be said of several.
inline void refuse(std::string_view name, std::string_view why) {
  const detail::Module& module = detail::module_in_braces();
  module.api->refuse_option(module.worker, detail::to_text(name), detail::to_text(why));
}

// The value as it is, of any kind, and where it stands; its texts live until the braces end. Nothing: there is none. It
// counts as asked for.
inline std::optional<prong_option> find(std::string_view name) {
  const detail::Module& module = detail::module_in_braces();
  prong_option option{};
  option.size = sizeof option;
  if (!module.api->option(module.worker, detail::to_text(name), &option)) return std::nullopt;
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
// One of any kind that has to be there. False: it is not, and the worker does not start, as with a wrong value.
//
//   prong::options::require("port");
//   const std::int64_t port = prong::options::integer("port", 0, 1, 65'535);
inline bool require(std::string_view name) {
  const bool is_there = has(name);
  if (!is_there) refuse(name, "is missing");
  return is_there;
}
// The same for a text, which may be empty; so is what this gives when there is none.
inline std::string required_text(std::string_view name) {
  return require(name) ? text(name) : std::string{};
}
inline bool boolean(std::string_view name, bool fallback) {
  const auto option = find(name);
  if (!option) return fallback;
  if (option->kind == PRONG_BOOLEAN) return option->boolean;
  refuse(name, "has to be true or false");
  return fallback;
}
// From `least` to `most`, both included; the fallback may be beyond.
inline std::int64_t integer(std::string_view name, std::int64_t fallback,
                            std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                            std::int64_t most = std::numeric_limits<std::int64_t>::max()) {
  const auto option = find(name);
  if (!option) return fallback;
  if (option->kind == PRONG_INTEGER && option->integer >= least && option->integer <= most) return option->integer;
  refuse(name, "has to be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
  return fallback;
}
// A number with or without a point, in a range as that of integer().
inline double real(std::string_view name, double fallback, double least = std::numeric_limits<double>::lowest(),
                   double most = std::numeric_limits<double>::max()) {
  const auto option = find(name);
  if (!option) return fallback;
  const bool is_number = option->kind == PRONG_REAL || option->kind == PRONG_INTEGER;
  if (is_number && option->real >= least && option->real <= most) return option->real;
  refuse(name, is_number ? "has to be from " + std::to_string(least) + " to " + std::to_string(most)
                         : std::string{"has to be a number"});
  return fallback;
}
// Written "30s", "250ms", "1h30m", "0"; the range as above.
inline std::chrono::nanoseconds duration(std::string_view name, std::chrono::nanoseconds fallback,
                                         std::chrono::nanoseconds least = std::chrono::nanoseconds::zero(),
                                         std::chrono::nanoseconds most = std::chrono::nanoseconds::max()) {
  const auto option = find(name);
  if (!option) return fallback;
  std::uint64_t nanoseconds = 0;
  if (option->kind != PRONG_TEXT || !detail::module().api->parse_duration(option->text, &nanoseconds)) {
    refuse(name, "has to be a duration, such as \"30s\" or \"250ms\"");
    return fallback;
  }
  const std::chrono::nanoseconds value{static_cast<std::int64_t>(nanoseconds)};
  if (value >= least && value <= most) return value;
  refuse(name, value < least ? "has to be at least " + detail::duration_text(least)
                             : "has to be at most " + detail::duration_text(most));
  return fallback;
}
// Bytes, written "64KiB", "10MB", "512B", "0": any other size needs its unit. The range as above.
inline std::uint64_t size(std::string_view name, std::uint64_t fallback, std::uint64_t least = 0,
                          std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
  const auto option = find(name);
  if (!option) return fallback;
  std::uint64_t bytes = 0;
  if (option->kind != PRONG_TEXT || !detail::module().api->parse_size(option->text, &bytes)) {
    refuse(name, "has to be a size, such as \"64KiB\"");
    return fallback;
  }
  if (bytes >= least && bytes <= most) return bytes;
  refuse(name, bytes < least ? "has to be at least " + detail::size_text(least)
                             : "has to be at most " + detail::size_text(most));
  return fallback;
}
// How many entries a list has, whose names are "peers[0]", "peers[1]", "backends[0].host"; nothing: there is no list of
// that name. Each entry has to be asked for.
//
//   for (std::size_t i = 0; i < prong::options::count("backends").value_or(0); ++i) {
//     const std::string at = "backends[" + std::to_string(i) + "].";
//     add_backend(prong::options::required_text(at + "host"), prong::options::integer(at + "port", 80, 1, 65'535));
//   }
inline std::optional<std::size_t> count(std::string_view name) {
  const detail::Module& module = detail::module_in_braces();
  const std::int64_t number = module.api->option_count(module.worker, detail::to_text(name));
  if (number < 0) return std::nullopt;
  return static_cast<std::size_t>(number);
}
// A list of strings.
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
// in the braces, since making one takes a lock, and kept; made and used on any thread. Copies count the same, and so do
// two that are made with one name and the same labels.
//
// A name is of 1 to 63 letters, digits and "_", not a digit first, and does not begin with "prongd_"; that of a counter
// should end in "_total", which OpenMetrics asks for. `help` is one line for people, at most 160 bytes. `labels` as
// Prometheus writes them, `command="get",code="5"`, at most 160 bytes; labels "pool", "le" and "__..." are prongd's.
// Both are printable ASCII. A worker has room for 64, of which at most 16 histograms; each set of labels is one.
//
// One that cannot be made counts nothing, and the log says why.
//
//   const prong::Counter hits = prong::counter("shop_hits_total", "pages that were asked for", R"(page="home")");
//   prong::on_request([hits](const prong::Request&, prong::Response& response) {
//     hits.add();
//     response.text(200, "welcome\n");
//   });
class Counter {
 public:
  // Counts nothing.
  Counter() = default;
  void add(std::uint64_t amount = 1) const {
    if (cell_ != nullptr) __atomic_fetch_add(cell_, amount, __ATOMIC_RELAXED);
  }

 private:
  friend Counter counter(std::string_view name, std::string_view help, std::string_view labels);
  std::uint64_t* cell_ = nullptr;
};

// A number that goes up and down, such as how many entries a cache has: begins at 0 in each worker, and the sum over
// all live workers is told. set() is for a gauge that one thread changes.
class Gauge {
 public:
  // Counts nothing.
  Gauge() = default;
  // A negative amount takes away.
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
  // Counts nothing.
  Histogram() = default;
  // Less than 0 is 0.
  template <class Rep, class Period>
  void observe(std::chrono::duration<Rep, Period> duration) const {
    if (cells_ != nullptr) observe_(cells_, detail::nanoseconds(duration));
  }

 private:
  friend Histogram histogram(std::string_view name, std::string_view help, std::string_view labels);
  prong_histogram* cells_ = nullptr;
  void (*observe_)(prong_histogram* cells, std::uint64_t nanoseconds) = nullptr;
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
  const detail::Module& module = detail::module();
  const prong_metric metric = detail::metric(name, help, labels);
  Counter result;
  if (module.lives()) result.cell_ = module.api->counter(module.worker, &metric);
  return result;
}
inline Gauge gauge(std::string_view name, std::string_view help, std::string_view labels = {}) {
  const detail::Module& module = detail::module();
  const prong_metric metric = detail::metric(name, help, labels);
  Gauge result;
  if (module.lives()) result.cell_ = module.api->gauge(module.worker, &metric);
  return result;
}
// Let its name end in "_seconds": that is what Prometheus is told.
inline Histogram histogram(std::string_view name, std::string_view help, std::string_view labels = {}) {
  const detail::Module& module = detail::module();
  const prong_metric metric = detail::metric(name, help, labels);
  Histogram result;
  if (module.lives()) result.cells_ = module.api->histogram(module.worker, &metric);
  result.observe_ = module.api->observe;
  return result;
}

// ---- Timers and descriptors -----------------------------------------------------------------------------------------

// A timer that runs. Ends with this object, also from within its own function; detach() lets it go on without. Moved,
// not copied; not for two threads at once. One that ends after the worker does nothing.
class Timer {
 public:
  // None.
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  Timer(Timer&& other) noexcept
      : timer_(std::exchange(other.timer_, 0)), callback_(std::exchange(other.callback_, 0)) {}
  // Stops the one that was in here.
  Timer& operator=(Timer&& other) noexcept {
    if (this != &other) {
      stop();
      timer_ = std::exchange(other.timer_, 0);
      callback_ = std::exchange(other.callback_, 0);
    }
    return *this;
  }
  ~Timer() { stop(); }

  // It fires no more, and its function ends. In `thread` a call that has begun on another thread may still run when
  // this returns; its function ends behind it.
  void stop() {
    detail::Module* const module = detail::module_if_living();
    if (timer_ == 0 || module == nullptr) return;
    module->api->stop_timer(module->worker, std::exchange(timer_, 0));
    module->callbacks.remove(std::exchange(callback_, 0));
  }
  // It goes on without this object: one of every() until the worker ends.
  void detach() { timer_ = 0; }

 private:
  template <class Rep, class Period, class Function>
  friend Timer after(std::chrono::duration<Rep, Period> time, Function&& function);
  template <class Rep, class Period, class Function>
  friend Timer every(std::chrono::duration<Rep, Period> time, Function&& function);
  static Timer start(std::uint64_t after, std::uint64_t every, detail::Callbacks::Function function) {
    detail::Module& module = detail::living_module();
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

// Calls void() once, after that time; 0 or less: at once, but not from in here. In `thread` and `process` as soon as an
// application thread is between two requests. No two timers, and no timer and posted function, run at once. Throws
// Error after the worker's end.
//
//   prong::after(std::chrono::seconds{1}, [later = response.defer()]() mutable { later.text(200, "good morning\n"); })
//       .detach();
template <class Rep, class Period, class Function>
[[nodiscard]] Timer after(std::chrono::duration<Rep, Period> time, Function&& function) {
  return Timer::start(detail::nanoseconds(time), 0, detail::without_arguments(std::forward<Function>(function)));
}
// The same again and again at that distance, the first time after it. What was missed, because nobody was free, is not
// made up for.
template <class Rep, class Period, class Function>
[[nodiscard]] Timer every(std::chrono::duration<Rep, Period> time, Function&& function) {
  const std::uint64_t nanoseconds = detail::nanoseconds(time);
  return Timer::start(nanoseconds, nanoseconds > 0 ? nanoseconds : 1,
                      detail::without_arguments(std::forward<Function>(function)));
}

// A descriptor that is watched, in `event`. Ends with this object, also from within its own function, and has to end
// before the descriptor is closed. Moved, not copied.
class Watch {
 public:
  // None.
  Watch() = default;
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  Watch(Watch&& other) noexcept
      : watch_(std::exchange(other.watch_, 0)), callback_(std::exchange(other.callback_, 0)) {}
  // Stops the one that was in here.
  Watch& operator=(Watch&& other) noexcept {
    if (this != &other) {
      stop();
      watch_ = std::exchange(other.watch_, 0);
      callback_ = std::exchange(other.callback_, 0);
    }
    return *this;
  }
  ~Watch() { stop(); }

  // Its function is called no more, and ends.
  void stop() {
    detail::Module* const module = detail::module_if_living();
    if (watch_ == 0 || module == nullptr) return;
    module->api->stop_watch(module->worker, std::exchange(watch_, 0));
    module->callbacks.remove(std::exchange(callback_, 0));
  }
  // Other events. Throws Error: nothing is watched.
  void change(std::uint32_t events) {
    detail::Module& module = detail::living_module();
    if (module.api->change_watch(module.worker, watch_, events) != PRONG_OK)
      throw Error("the descriptor cannot be watched");
  }

 private:
  template <class Function>
  friend Watch watch(int descriptor, std::uint32_t events, Function&& function);
  std::uint64_t watch_ = 0;
  std::uintptr_t callback_ = 0;
};

// `event`: calls void(std::uint32_t what_happened) whenever the descriptor is so, again and again as long as it is:
// PRONG_READABLE | PRONG_WRITABLE, and PRONG_HANGUP unasked. Borrows the descriptor, which should not block; each can
// be watched once at a time, and files on disk not at all. Throws Error.
//
//   watch_ = prong::watch(database_.socket(), PRONG_READABLE, [this](std::uint32_t) { database_.receive(); });
template <class Function>
[[nodiscard]] Watch watch(int descriptor, std::uint32_t events, Function&& function) {
  detail::Module& module = detail::living_module();
  Watch result;
  result.callback_ = module.callbacks.add(detail::Kept<void(std::uint32_t)>::of(std::forward<Function>(function)));
  result.watch_ = module.api->watch(module.worker, descriptor, events, detail::call_back_with,
                                    detail::as_context(result.callback_));
  if (result.watch_ != 0) return result;
  module.callbacks.remove(result.callback_);
  throw Error("the descriptor cannot be watched: only sockets, pipes and their like, once, and in `event` concurrency");
}

// ---- HTTP -----------------------------------------------------------------------------------------------------------

struct Header {
  std::string_view name;
  std::string_view value;
};

// The other end of a connection. The view lives as long as the request, or the connection.
struct Address {
  std::string_view address;  // "192.0.2.7", "2001:db8::7"; empty of a UNIX socket
  std::uint16_t port = 0;    // 0 of a UNIX socket
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

// One request, with one thread at a time. All views live until the function that got it returns, also if the answer is
// deferred: copy what is needed then.
class Request {
 public:
  explicit Request(const prong_request* raw) : raw_(raw) {}
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;
  ~Request() = default;

  std::string_view method() const { return detail::to_view(raw_->method); }      // "GET"
  std::string_view path() const { return detail::to_view(raw_->path); }          // decoded: "/a b"
  std::string_view raw_path() const { return detail::to_view(raw_->raw_path); }  // as sent: "/a%20b"
  std::string_view prefix() const { return detail::to_view(raw_->prefix); }      // what path_prefix took off, as sent
  std::string_view target() const { return detail::to_view(raw_->target); }      // as sent: "/a%20b?x=1"
  std::string_view host() const { return detail::to_view(raw_->host); }          // may be empty
  std::string_view raw_query() const { return detail::to_view(raw_->query); }    // as sent, without '?'
  unsigned version_minor() const { return raw_->version_minor; }                 // of HTTP/1.x

  // The first value of that name in the query, decoded ('+' is a space); empty for "?name" as for "?name=".
  //
  //   const std::string color{request.query("color").value_or("blue")};
  std::optional<std::string_view> query(std::string_view name) const {
    prong_text value{};
    if (!api().query(raw_, detail::to_text(name), &value)) return std::nullopt;
    return detail::to_view(value);
  }
  // All of them, in their order, decoded; also those of one name. Makes a vector each time.
  //
  //   for (const auto& [name, value] : request.queries()) ...
  std::vector<std::pair<std::string_view, std::string_view>> queries() const {
    std::vector<std::pair<std::string_view, std::string_view>> result;
    prong_text name{};
    prong_text value{};
    while (api().query_at(raw_, result.size(), &name, &value))
      result.emplace_back(detail::to_view(name), detail::to_view(value));
    return result;
  }
  // The value of the first header of that name, in whatever case, without white space around it.
  std::optional<std::string_view> header(std::string_view name) const {
    prong_text value{};
    if (!api().header(raw_, detail::to_text(name), &value)) return std::nullopt;
    return detail::to_view(value);
  }
  // All of them, as they were sent, in their order. Makes a vector each time.
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

  // Whether there is one that body() and read_body() give: not in Upload::finish(), whose pieces have gone.
  bool has_body() const { return raw_->has_body; }
  std::uint64_t body_size() const { return raw_->body_size; }
  // The whole of it, up to the pool's http.max_body; empty if there is none. One that is larger than http.body_buffer
  // waits in a file, from which this reads it into memory, once, and blocks as the disk does: see read_body(). Throws
  // Error: it cannot be read.
  std::string_view body() const {
    if (raw_->body.size == raw_->body_size) return detail::to_view(raw_->body);
    if (read_.size() != raw_->body_size) {
      std::string text(static_cast<std::size_t>(raw_->body_size), '\0');
      if (read_body(0, text.data(), text.size()) != text.size()) throw Error("the body of the request cannot be read");
      read_ = std::move(text);
    }
    return read_;
  }
  // Bytes of it from `offset` on, wherever it is, without the memory for all of it: how many, 0 at its end. From a file
  // it blocks as the disk does. Throws Error: it cannot be read.
  //
  //   std::uint64_t at = 0;
  //   while (const std::size_t got = request.read_body(at, buffer.data(), buffer.size())) {
  //     store(buffer.data(), got);
  //     at += got;
  //   }
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

  // For what the C ABI alone can do.
  const prong_request* raw() const { return raw_; }

 private:
  static const prong_api& api() { return *detail::module().api; }

  const prong_request* raw_;
  mutable std::string read_;
};

// Where a body that is made while it is sent is written to; valid until the function that got it returns.
class Body {
 public:
  explicit Body(prong_body* raw) : raw_(raw) {}
  // Copies the bytes.
  void write(std::string_view bytes) { detail::module().api->body_write(raw_, detail::to_text(bytes)); }

  prong_body* raw() const { return raw_; }

 private:
  prong_body* raw_;
};
// What such a body's function says when it has written something, or nothing.
// NOLINTNEXTLINE(performance-enum-size): the C ABI's
enum class Next : int {
  kMore = PRONG_BODY_MORE,  // something was written, and there is more; with nothing written, as kCut
  // Nothing more now: BodyWaker::wake() will be called, or else the connection is cut after the pool's request_timeout.
  // In `event` alone.
  kWait = PRONG_BODY_WAIT,
  kEnd = PRONG_BODY_END,  // that was all
  kCut = PRONG_BODY_CUT   // it cannot go on: the connection is cut
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

// Tells prongd that a body which said Next::kWait has more. Copies are of the same body. May outlive it, and does
// nothing then. `event` alone, from any callback, not from a thread of the module's own: post() there.
class BodyWaker {
 public:
  // Of no body: it is over.
  BodyWaker() = default;
  explicit BodyWaker(std::shared_ptr<detail::BodyState> state) : state_(std::move(state)) {}
  // Its function is asked again soon. Before the first time that it is asked this does nothing: it will be.
  void wake() const {
    if (state_ && state_->body != nullptr) detail::module().api->body_resume(state_->body);
  }
  // Whether nobody wants more of the body: it has ended, or its client is gone.
  bool over() const { return !state_ || state_->over; }

 private:
  std::shared_ptr<detail::BodyState> state_;
};

// What answers a request have in common: one of text(), html(), json(), send(), file(), stream(), once; what they are
// given is copied, unless they say otherwise, and none waits for the client. prongd adds Date, Server, Content-Length
// or Transfer-Encoding, and Connection. It answers HEAD without the body, and so what has none: 204 and 304.
//
// All of them throw Error when the request has been answered before, and for a status (200 to 599) or a header that
// cannot be, which the log names. Nothing has been answered then and the headers are gone, so that another answer may
// be given.
class Answer {
 public:
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  // A header of the answer, before it is sent; copied. The same name twice gives two of it. Not for Date, Server,
  // Content-Length, Transfer-Encoding, Connection; no control characters in the value. What cannot be is told by the
  // answer.
  //
  //   response.header("Cache-Control", "no-store").header("ETag", tag).json(200, text);
  Answer& header(std::string_view name, std::string_view value) {
    headers_.emplace_back(name, value);
    return *this;
  }
  // In UTF-8, with such a Content-Type if none was said.
  void text(unsigned status, std::string_view body) { send_as(status, body, "text/plain; charset=utf-8"); }
  void html(unsigned status, std::string_view body) { send_as(status, body, "text/html; charset=utf-8"); }
  void json(unsigned status, std::string_view body) { send_as(status, body, "application/json"); }
  // Any bytes, with the headers that were said: without a Content-Type unless one was.
  void send(unsigned status, std::string_view body = {}) { send_as(status, body, {}); }
  // The same without a copy of a large body, which moves.
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
  // nullptr, and so `{}`: no body.
  void send(unsigned status, const char* body) {
    send_as(status, body == nullptr ? std::string_view{} : std::string_view{body}, {});
  }
  // A regular file, as long as it is now, by sendfile(2). Opens it here, which blocks as the disk does; knows no ranges
  // and no conditions. False: there is no such file that can be read, and nothing was answered; errno says why.
  //
  //   if (!response.file(200, "/srv/report.pdf", "application/pdf")) response.text(404, "no report yet\n");
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
  // `length` bytes of a regular file from `offset` on. The descriptor is taken over: prongd closes it, also when this
  // throws. Throws Error too when it is no regular file, or the part cannot be. A file that turns out to be shorter
  // cuts the connection, and the log says so.
  void file(unsigned status, int descriptor, std::uint64_t offset, std::uint64_t length,
            std::string_view content_type = "application/octet-stream") {
    prong_response response{};
    try {
      response = head(status, content_type);
    } catch (...) {
      (void)::close(descriptor);
      throw;
    }
    finish(
        detail::module().api->respond_file(exchange_, &response, descriptor, offset, length),
        "the file cannot be sent: no regular file, or not so long, or the status or a header cannot be; the log says "
        "which");
  }
  // A body that is made while it is sent: Next read(prong::Body& body, std::size_t room) is called whenever little of
  // it waits for the client, with how many bytes are best written; in `thread` and `process` on the thread of the
  // request, and may wait there. `length` is that of the whole, if it is known: what goes beyond is dropped, and less
  // cuts the connection; without one it is sent in chunks. The function ends with the body, also when the client has
  // gone. No Content-Type unless one was said.
  //
  //   response.header("Content-Type", "text/csv");
  //   response.stream(200, [rows = open_rows()](prong::Body& body, std::size_t room) mutable {
  //     for (std::size_t written = 0; written < room;) {
  //       const std::optional<std::string> row = rows.next();
  //       if (!row) return prong::Next::kEnd;
  //       body.write(*row);
  //       written += row->size();
  //     }
  //     return prong::Next::kMore;
  //   });
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
  using Headers = std::vector<std::pair<std::string, std::string>>;

  explicit Answer(prong_exchange* exchange, Headers headers = {}) : exchange_(exchange), headers_(std::move(headers)) {}
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
  Headers headers_;

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
  void finish(int result,
              const char* invalid = "the answer has a status or a header that cannot be, which the log names") {
    if (result == PRONG_INVALID) headers_.clear();  // so that they do not spoil another one
    if (result == PRONG_TWICE || result == PRONG_INVALID || result == PRONG_NO_MEMORY)
      detail::refuse_answer(result, invalid);
    answered();
  }

  std::vector<prong_header> raw_headers_;
};

// An answer that comes later, from any callback; `event` alone, used and ended on the worker's thread alone: a thread
// of the module's own hands it to post(). Moved, not copied. Whose client has gone is answered to nobody. One that ends
// without an answer is answered with 500, and the log says so. After the pool's request_timeout the client gets 504.
class Deferred final : public Answer {
 public:
  explicit Deferred(prong_exchange* exchange) : Answer(exchange) {}
  // Each takes its own part of it. NOLINTNEXTLINE(bugprone-use-after-move)
  Deferred(Deferred&& other) noexcept : Answer(std::move(other)), gone_(std::exchange(other.gone_, 0)) {}
  // Drops the one that was in here.
  Deferred& operator=(Deferred&& other) noexcept {
    if (this != &other) {
      drop();
      gone_ = std::exchange(other.gone_, 0);
      Answer::operator=(std::move(other));
    }
    return *this;
  }
  ~Deferred() { drop(); }
  Deferred& header(std::string_view name, std::string_view value) {
    Answer::header(name, value);
    return *this;
  }
  // Calls void() once when the client has gone, or has got 504. To be said in the function that defers: of who has gone
  // before then one is not told. The last one counts; it ends with the answer.
  //
  //   prong::Deferred& later = waiting.emplace_back(response.defer());
  //   later.on_gone([this, at = std::prev(waiting.end())] { waiting.erase(at); });
  template <class Function>
  void on_gone(Function&& function) {
    if (exchange_ == nullptr) return;
    detail::Module& module = detail::living_module();
    const std::uintptr_t before =
        std::exchange(gone_, module.callbacks.add(detail::without_arguments(std::forward<Function>(function))));
    module.api->on_gone(exchange_, detail::call_back, detail::as_context(gone_));
    module.callbacks.remove(before);
  }

 private:
  friend class Response;
  Deferred(prong_exchange* exchange, Headers headers) : Answer(exchange, std::move(headers)) {}

  void drop() noexcept {
    detail::Module* const module = detail::module_if_living();
    if (exchange_ != nullptr && module != nullptr) module->api->drop(exchange_);
    answered();
  }
  void answered() noexcept override {
    exchange_ = nullptr;
    if (gone_ == 0) return;
    if (detail::Module* const module = detail::module_if_living()) module->callbacks.remove(std::exchange(gone_, 0));
  }
  std::uintptr_t gone_ = 0;
};

// The answer to a request, while on_request() or Upload::finish() has it. One that returns without an answer has
// failed: 500.
class Response final : public Answer {
 public:
  explicit Response(prong_exchange* exchange) : Answer(exchange) {}
  Response(Response&&) = delete;
  Response& operator=(Response&&) = delete;
  ~Response() = default;

  Response& header(std::string_view name, std::string_view value) {
    Answer::header(name, value);
    return *this;
  }
  // The answer comes later; headers that were said go along. Throws Error but in `event`, and after an answer.
  [[nodiscard]] Deferred defer() {
    prong_exchange* const later = exchange_ == nullptr ? nullptr : detail::module().api->defer(exchange_);
    if (later == nullptr)
      throw Error("the answer cannot come later: only in `event` concurrency, and before it was given");
    exchange_ = nullptr;
    return Deferred{later, std::move(headers_)};
  }
};

// A body that is taken piece by piece: made by on_upload() for one request, and ended when that is over, however; with
// one thread at a time.
//
//   class Copy : public prong::Upload {
//    public:
//     bool piece(std::string_view bytes) override { return file_.write(bytes); }
//     void finish(const prong::Request&, prong::Response& response) override {
//       response.text(file_.is_whole() ? 201 : 507, "done\n");
//     }
//    private:
//     File file_;
//   };
class Upload {
 public:
  Upload() = default;
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;
  virtual ~Upload() = default;

  // The next bytes, at least one, cut anywhere; in `event` as they arrive, elsewhere when the body is there. False:
  // enough, finish() is called at once, and the rest is not wanted: at the first piece, a way to drop a body unread.
  virtual bool piece(std::string_view bytes) = 0;
  // In place of on_request(): no more pieces come. The request has no body now.
  virtual void finish(const Request& request, Response& response) = 0;
};

// Only in the braces; the last one counts. void(const Request& request, Response& response): answers all requests. In
// `thread` on several threads at once. An HTTP module has to have it.
template <class Function>
void on_request(Function&& function) {
  detail::module_in_braces().on_request =
      detail::Kept<void(const Request&, Response&)>::of(std::forward<Function>(function));
}
// Only in the braces; the last one counts. std::unique_ptr<Upload>(const Request& request): asked for each request that
// has a body, who takes it piece by piece; nullptr: nobody, it is collected for on_request(). In `thread` on several
// threads at once.
//
//   prong::on_upload([](const prong::Request& request) -> std::unique_ptr<prong::Upload> {
//     return request.method() == "PUT" ? std::make_unique<Copy>() : nullptr;
//   });
template <class Function>
void on_upload(Function&& function) {
  detail::module_in_braces().on_upload =
      detail::Kept<std::unique_ptr<Upload>(const Request&)>::of(std::forward<Function>(function));
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
  explicit AttachmentOf(std::true_type /*has_constructor*/, Args&&... args) : value(std::forward<Args>(args)...) {}
  template <class... Args>
  explicit AttachmentOf(std::false_type /*has_constructor*/, Args&&... args) : value{std::forward<Args>(args)...} {}
  T value;
};
}  // namespace detail

// One client of a stream module in `event`, and in no other. A name for it, to be copied, compared and kept; valid from
// on_open() until on_close() returns, in any callback.
class Connection {
 public:
  explicit Connection(prong_connection* raw) : raw_(raw) {}

  // Sends a copy of the bytes behind those that were sent before; never blocks. How many more are wise to send now; 0:
  // wait for on_writable(). More is taken all the same, up to the pool's stream.max_output; beyond it the connection is
  // cut. After close() or cut() it sends nothing and gives 0.
  std::size_t send(std::string_view bytes) const { return api().send(raw_, detail::to_text(bytes)); }
  // Ends it when everything has been sent; on_data(), on_end() and on_writable() are called no more, on_close() is,
  // later.
  void close() const { api().close(raw_); }
  // Ends it now, with a reset; what has not been sent is lost. on_close() is called, later.
  void cut() const { api().cut(raw_); }
  // Whether on_data() and on_end() are to be called; false makes the client wait.
  void want_data(bool wanted) const { api().want_data(raw_, wanted); }
  // The view lives as long as the connection.
  Address peer() const {
    return detail::address([this](prong_address* raw) { api().connection_peer(raw_, raw); });
  }

  // Makes a T of these arguments, T(...) or else T{...}, that is kept with this connection and ends with it, after
  // on_close(), or when another one is attached. The reference is good that long.
  //
  //   prong::on_open([](prong::Connection& connection) { connection.attach<Client>(); });
  //   prong::on_data([](prong::Connection& connection, std::string_view bytes) {
  //     connection.attached<Client>().unread.append(bytes);
  //   });
  template <class T, class... Args>
  T& attach(Args&&... args) const {
    auto owned =
        std::make_unique<detail::AttachmentOf<T>>(std::is_constructible<T, Args...>{}, std::forward<Args>(args)...);
    T& value = owned->value;
    detail::Attachment* const made = owned.release();
    delete static_cast<detail::Attachment*>(std::exchange(*api().context(raw_), static_cast<void*>(made)));
    return value;
  }
  // What was attached, which has to be a T. Throws Error: nothing was, or something else.
  template <class T>
  T& attached() const {
    auto* const held = static_cast<detail::Attachment*>(*api().context(raw_));
    auto* const typed = dynamic_cast<detail::AttachmentOf<T>*>(held);
    if (typed == nullptr) throw Error("nothing of that type is attached to the connection");
    return typed->value;
  }

  // For what the C ABI alone can do.
  prong_connection* raw() const { return raw_; }
  friend bool operator==(Connection left, Connection right) { return left.raw_ == right.raw_; }
  friend bool operator!=(Connection left, Connection right) { return left.raw_ != right.raw_; }
  // In no particular order: for sets and maps.
  friend bool operator<(Connection left, Connection right) {
    return std::less<prong_connection*>{}(left.raw_, right.raw_);
  }

 private:
  static const prong_api& api() { return *detail::module().api; }
  prong_connection* raw_;
};

// One client of a stream module in `process` and `thread`, for the thread of its on_connection() alone: its functions
// wait.
class BlockingConnection {
 public:
  explicit BlockingConnection(prong_connection* raw) : raw_(raw) {}
  BlockingConnection(const BlockingConnection&) = delete;
  BlockingConnection& operator=(const BlockingConnection&) = delete;

  enum class State : std::uint8_t {
    kData,      // `bytes` has come
    kEnd,       // the client will send no more
    kTimeout,   // nothing came in the time that was given
    kDraining,  // nothing has come, and the worker is to end: read_or_drain()
    kGone,      // the connection is lost, or was silent for the pool's stream.idle_timeout; or `size` was 0
  };
  struct Received {
    State state = State::kGone;
    std::string_view bytes;  // in the buffer that was given
    explicit operator bool() const { return state == State::kData; }
  };

  // Waits for bytes, and gives those that are there, at most `size`, which is not 0. Without a timeout it waits as long
  // as the pool's stream.idle_timeout allows, which a longer one does not prolong. 0 or less: only what has come
  // already.
  //
  //   char buffer[4096];
  //   while (auto got = connection.read_or_drain(buffer, sizeof buffer, std::chrono::seconds{30}))
  //     if (!connection.write(got.bytes)) return;
  Received read(char* buffer, std::size_t size, std::optional<std::chrono::nanoseconds> timeout = std::nullopt) {
    return read_with(buffer, size, timeout, 0);
  }
  // The same, and comes back as soon as the worker is to end and nothing has come: between two requests of a client,
  // say.
  Received read_or_drain(char* buffer, std::size_t size,
                         std::optional<std::chrono::nanoseconds> timeout = std::nullopt) {
    return read_with(buffer, size, timeout, PRONG_OR_DRAIN);
  }
#ifdef __cpp_lib_span
  Received read(std::span<char> buffer, std::optional<std::chrono::nanoseconds> timeout = std::nullopt) {
    return read(buffer.data(), buffer.size(), timeout);
  }
  Received read_or_drain(std::span<char> buffer, std::optional<std::chrono::nanoseconds> timeout = std::nullopt) {
    return read_or_drain(buffer.data(), buffer.size(), timeout);
  }
#endif
  // Sends a copy of all the bytes, and waits while more than stream.buffer waits for the client. False: the connection
  // is lost, as that of a client is who takes less than stream.min_send_rate in a stream.send_timeout.
  bool write(std::string_view bytes) { return detail::module().api->write(raw_, detail::to_text(bytes)) == PRONG_OK; }
  // Ends it with a reset when on_connection() returns; otherwise everything is sent first.
  void cut() { detail::module().api->cut(raw_); }
  // The view lives as long as the connection.
  Address peer() const {
    return detail::address([this](prong_address* raw) { detail::module().api->connection_peer(raw_, raw); });
  }

 private:
  Received read_with(char* buffer, std::size_t size, std::optional<std::chrono::nanoseconds> timeout,
                     std::uint32_t flags) {
    // 0 says to the C ABI that there is none.
    const std::uint64_t nanoseconds = !timeout ? 0 : timeout->count() <= 0 ? 1 : detail::nanoseconds(*timeout);
    const std::ptrdiff_t got = detail::module().api->read(raw_, buffer, size, nanoseconds, flags);
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

// All of these only in the braces; the last one counts. A stream module has to have on_data() for `event`, and
// on_connection() for `process` and `thread`.
//
// `event`: void(Connection& connection): a client has come; what is sent now comes before it has said anything.
template <class Function>
void on_open(Function&& function) {
  detail::module_in_braces().on_open = detail::Kept<void(Connection&)>::of(std::forward<Function>(function));
}
// `event`: void(Connection& connection, std::string_view bytes): bytes of the client, at least one, cut anywhere; they
// live until the function returns.
template <class Function>
void on_data(Function&& function) {
  detail::module_in_braces().on_data =
      detail::Kept<void(Connection&, std::string_view)>::of(std::forward<Function>(function));
}
// `event`: void(Connection& connection): the client will send no more, but may still read. Without this function the
// connection is closed then.
template <class Function>
void on_end(Function&& function) {
  detail::module_in_braces().on_end = detail::Kept<void(Connection&)>::of(std::forward<Function>(function));
}
// `event`: void(Connection& connection): there is room again, after send() gave 0.
template <class Function>
void on_writable(Function&& function) {
  detail::module_in_braces().on_writable = detail::Kept<void(Connection&)>::of(std::forward<Function>(function));
}
// `event`: void(Connection& connection): it is gone, whoever ended it; once for each, and never in the middle of
// another function of that connection.
template <class Function>
void on_close(Function&& function) {
  detail::module_in_braces().on_close = detail::Kept<void(Connection&)>::of(std::forward<Function>(function));
}
// `process` and `thread`: void(BlockingConnection& connection): talks with one client, and returns when it is done;
// then the connection is closed. In `thread` on several threads at once.
template <class Function>
void on_connection(Function&& function) {
  detail::module_in_braces().on_connection =
      detail::Kept<void(BlockingConnection&)>::of(std::forward<Function>(function));
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

// What the functions hold ends with them, and may use the SDK once more, and even add to it.
inline void end(Module& module) noexcept {
  {
    const Functions ended = std::exchange(static_cast<Functions&>(module), Functions{});
  }
  module.callbacks.clear();
  module.ended.store(true, std::memory_order_release);
}

template <void (*kStart)(), Kind kKind>
int start(const prong_api* api, prong_worker* raw_worker, void** /*state*/) {
  auto* const made = new (std::nothrow) Module;
  if (made == nullptr) return PRONG_NO_MEMORY;
  made->api = api;
  made->worker = raw_worker;
  current.store(made, std::memory_order_release);
  const int result = guarded(
      [made] {
        made->info.size = sizeof made->info;
        made->api->worker_info(made->worker, &made->info);
        made->pool = to_view(made->info.pool);
        made->path = to_view(made->info.module);
        kStart();
        made->in_braces = false;
        check_callbacks(kKind);
        return static_cast<int>(PRONG_OK);
      },
      static_cast<int>(PRONG_FAILED));
  if (result != PRONG_OK) end(*made);  // there will be no stop()
  return result;
}
inline void drain(void* /*state*/) {
  if (module().on_drain) guarded([] { module().on_drain(); });
}
inline void stop(void* /*state*/) {
  if (module().on_stop) guarded([] { module().on_stop(); });
  end(module());
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

// A module that answers HTTP requests, with the function that follows in braces: void(), run once in each worker. Its
// name, which is one word, is for people; behind it the models that it can run in, if not all that its functions allow:
//
//   PRONG_HTTP_MODULE(thumbnails, prong::Model::kProcess | prong::Model::kThread) { ... }
//
// Once in a library, inside no function and no class; in any namespace.
#define PRONG_HTTP_MODULE(...) PRONG_SELECT(__VA_ARGS__, PRONG_DEFINE_FOR, PRONG_DEFINE, ~)(http_module, __VA_ARGS__)
// The same for a module that talks with its clients in a language of its own (`protocol = "stream"`).
#define PRONG_STREAM_MODULE(...) \
  PRONG_SELECT(__VA_ARGS__, PRONG_DEFINE_FOR, PRONG_DEFINE, ~)(stream_module, __VA_ARGS__)

// Not for modules.
#define PRONG_SELECT(ONE, TWO, CHOSEN, ...) CHOSEN
#define PRONG_DEFINE(KIND, NAME) PRONG_DEFINE_FOR(KIND, NAME, ::prong::Models{})
#define PRONG_DEFINE_FOR(KIND, NAME, MODELS)                      \
  static void prong_start_##NAME();                               \
  extern "C" PRONG_EXPORT const prong_module prong_module_entry = \
      ::prong::detail::KIND<&prong_start_##NAME>(#NAME, MODELS);  \
  static void prong_start_##NAME()
