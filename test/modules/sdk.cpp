// What the C++ face of the SDK promises beside the C ABI: how a module begins and ends, what its functions may hold,
// and calls that are easily made wrong (test/system/test_module_face.py). One library for HTTP and for streams, so its
// entry is put together by hand; that also lets it look at what the SDK does when the worker has ended.
#include <prong/module.hpp>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <limits>
#include <list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using prong::Connection;
using prong::Request;
using prong::Response;

static_assert(!std::is_copy_constructible_v<Request> && !std::is_copy_assignable_v<Request>);

// What comes of using the SDK before the braces run.
const std::string& early_use() {
  static const std::string* const text = [] {
    try {
      prong::info("too early");
      return new std::string("nothing");
    } catch (const prong::Error& error) {
      return new std::string(error.what());
    }
  }();
  return *text;
}
const std::string& asked_early = early_use();

// Says so when it ends. Can only be moved, so what holds one can only be moved as well.
class Farewell {
 public:
  explicit Farewell(std::string name) : name_(std::move(name)) {}
  Farewell(Farewell&& other) noexcept : name_(std::exchange(other.name_, {})) {}
  Farewell& operator=(Farewell&&) = delete;
  ~Farewell() {
    if (!name_.empty()) prong::info("farewell of " + name_);
  }

 private:
  std::string name_;
};

// Hands on to another function when it ends.
class Chain {
 public:
  Chain() = default;
  Chain(Chain&& other) noexcept : whole_(std::exchange(other.whole_, false)) {}
  Chain& operator=(Chain&&) = delete;
  ~Chain() {
    if (whole_) prong::after(std::chrono::hours{1}, [end = Farewell{"the chain"}] {}).detach();
  }

 private:
  bool whole_ = true;
};

struct Service {
  prong::Counter counter = prong::counter("sdk_calls_total", "whatever was called");
  prong::Gauge gauge = prong::gauge("sdk_level", "some level");
  prong::Histogram histogram = prong::histogram("sdk_seconds", "some time");
  std::list<prong::Deferred> waiting = {};
  std::array<int, 2> ends = {-1, -1};
  prong::Watch watch = {};
  prong::Timer timer = {};
};
Service& service() {
  static auto* const made = new Service;
  return *made;
}

// All that a thread of the module's own may call; what came of it.
template <class Posted>
std::string call_what_any_thread_may(Posted&& posted) {
  prong::debug("a thread of the module's own");
  service().counter.add();
  service().gauge.set(1);
  service().histogram.observe(std::chrono::milliseconds{1});
  std::string text = prong::draining() ? "draining" : "not draining";
  text += "; pool " + std::string(prong::worker().pool);
  prong::post(std::forward<Posted>(posted));
  return text;
}

// ---- HTTP

std::string nanoseconds_of_many() {
  using prong::detail::nanoseconds;
  std::string text;
  const auto tell = [&text](auto duration) { text += std::to_string(nanoseconds(duration)) + "\n"; };
  tell(std::chrono::seconds{2});
  tell(std::chrono::seconds{-2});
  tell(std::chrono::seconds::max());
  tell(std::chrono::hours::min());
  tell(std::chrono::nanoseconds::max());
  tell(std::chrono::duration<double>(1.5));
  tell(std::chrono::duration<double>(1e12));
  tell(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN()));
  tell(std::chrono::duration<std::int64_t, std::ratio<1, 3>>(3));
  tell(std::chrono::duration<std::int64_t, std::ratio<1, 3>>(std::int64_t{20'000'000'000}));
  return text;
}

// What the answer that cannot be throws, in one that can.
template <class Function>
void answer_after(Response& response, Function&& answer) {
  try {
    answer();
  } catch (const prong::Error& error) {
    response.text(400, error.what());
  }
}

void handle(const Request& request, Response& response) {
  const std::string_view path = request.path();
  if (path == "/early") return response.text(200, asked_early);
  if (path == "/nanoseconds") return response.text(200, nanoseconds_of_many());
  if (path == "/null") return response.send(200, nullptr);
  if (path == "/braces") return response.send(204, {});
  if (path == "/later") {
    response.header("Before", "it was deferred");
    prong::Deferred later = response.defer();
    return later.header("After", "as well").text(200, "later\n");
  }
  if (path == "/wrong-header")
    return answer_after(response, [&] { response.header("No name", "value").text(200, "never\n"); });
  if (path == "/no-file")
    return answer_after(response, [&] { response.header("Tried", "a file").file(200, -1, 0, 1); });
  if (path == "/gone") {
    prong::Deferred& later = service().waiting.emplace_back(response.defer());
    later.on_gone([end = Farewell{"the first on_gone"}] { prong::info("the first on_gone was called"); });
    prong::info("the first on_gone was replaced");
    later.on_gone([end = Farewell{"the second on_gone"}] { prong::info("the second on_gone was called"); });
    return;
  }
  if (path == "/restless") {  // threads that nobody joins
    for (int i = 0; i < 2; ++i)
      std::thread([] {
        while (!call_what_any_thread_may([] {}).empty()) std::this_thread::yield();
      }).detach();
    return response.text(200, "started\n");
  }
  response.text(404, "no such path\n");
}

// ---- Streams

struct Pair {
  int first;
  int second;
};
struct Newer {
  int value = 0;
};
struct Older {
  explicit Older(Connection at) : connection(at) {}
  Older(const Older&) = delete;
  Older& operator=(const Older&) = delete;
  // The one that takes its place is there already.
  ~Older() { connection.send("after the older one: " + std::to_string(connection.attached<Newer>().value) + "\n"); }
  Connection connection;
};

void attach_all_sorts(Connection connection) {
  connection.send("vector of " + std::to_string(connection.attach<std::vector<int>>(3, 7).size()) + "\n");
  const Pair& pair = connection.attach<Pair>(1, 2);
  connection.send("pair of " + std::to_string(pair.first) + " and " + std::to_string(pair.second) + "\n");
  connection.attach<Older>(connection);
  connection.attach<Newer>().value = 5;
  connection.close();
}

void talk(prong::BlockingConnection& connection) {
  using State = prong::BlockingConnection::State;
  std::array<char, 100> buffer{};
  const auto told = [&connection](State state) {
    return connection.write(state == State::kTimeout ? "timeout\n" : state == State::kData ? "data\n" : "else\n");
  };
  (void)told(connection.read(buffer.data(), buffer.size(), std::chrono::seconds{0}).state);
  (void)told(connection.read_or_drain(buffer.data(), buffer.size(), std::chrono::seconds{-1}).state);
  (void)told(connection.read(buffer.data(), buffer.size()).state);
}

// ---- Begin and end

void start_sdk() {
  prong::on_drain([end = Farewell{"on_drain"}] {});
  prong::on_request(
      [end = Farewell{"on_request"}](const Request& request, Response& response) { handle(request, response); });
  prong::on_upload([end = Farewell{"on_upload"}](const Request&) -> std::unique_ptr<prong::Upload> { return nullptr; });
  prong::on_open([end = Farewell{"on_open"}](Connection& connection) { attach_all_sorts(connection); });
  prong::on_data([end = Farewell{"on_data"}](Connection&, std::string_view) {});
  prong::on_end([end = Farewell{"on_end"}](Connection&) {});
  prong::on_writable([end = Farewell{"on_writable"}](Connection&) {});
  prong::on_close([end = Farewell{"on_close"}](Connection&) {});
  prong::on_connection([end = Farewell{"on_connection"}](prong::BlockingConnection& connection) { talk(connection); });
  prong::on_stop([end = Farewell{"on_stop"}] {
    prong::info("on_stop was called");
    service().waiting.clear();
  });
  prong::every(std::chrono::hours{1}, [end = Farewell{"a timer"}, chain = Chain{}] {}).detach();
  service().timer = prong::after(std::chrono::hours{1}, [end = Farewell{"another timer"}] {});
  if (prong::worker().model == prong::Model::kEvent && ::pipe2(service().ends.data(), O_CLOEXEC | O_NONBLOCK) == 0)
    service().watch = prong::watch(service().ends[0], PRONG_READABLE, [end = Farewell{"a watch"}](std::uint32_t) {});
  if (prong::options::boolean("fail", false)) throw std::runtime_error("thrown when all was set up");
}

// prongd's own stop, and then what a thread sees that still runs.
void stop_and_look(void* state) {
  const prong_api* const api = prong::detail::module().api;
  prong_worker* const worker = prong::detail::module().worker;
  prong::detail::stop(state);
  std::string text;
  std::thread([&text] {
    text = call_what_any_thread_may([end = Farewell{"a posted function"}] {});
    service().timer.stop();
    service().watch = {};
    try {
      prong::after(std::chrono::seconds{1}, [] {}).detach();
    } catch (const prong::Error& error) {
      text += std::string("; after: ") + error.what();
    }
  }).join();
  api->log(worker, PRONG_INFO, prong::detail::to_text("after the end: " + text));
}

constexpr prong_module make_entry() {
  prong_module entry = prong::detail::http_module<&start_sdk>("sdk");
  const prong_module stream = prong::detail::stream_module<&start_sdk>("sdk");
  entry.stop = stop_and_look;
  entry.open = stream.open;
  entry.data = stream.data;
  entry.end = stream.end;
  entry.writable = stream.writable;
  entry.closed = stream.closed;
  entry.serve = stream.serve;
  return entry;
}

}  // namespace

extern "C" PRONG_EXPORT const prong_module prong_module_entry = make_entry();
