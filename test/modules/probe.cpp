// An HTTP module that does everything that the SDK offers, each under a path of its own, and tells what it saw. The
// system tests ask it (test/system/test_module_http.py).
#include <fcntl.h>
#include <prong/module.hpp>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using prong::Request;
using prong::Response;

// FNV-1a, which the tests compute too (http://www.isthe.com/chongo/tech/comp/fnv/).
class Sum {
 public:
  void add(std::string_view bytes) {
    for (const char byte : bytes) value_ = (value_ ^ static_cast<std::uint8_t>(byte)) * 0x100000001b3U;
    size_ += bytes.size();
  }
  [[nodiscard]] std::string text() const {
    return "size=" + std::to_string(size_) + " sum=" + std::to_string(value_) + "\n";
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325U;
  std::uint64_t size_ = 0;
};

std::uint64_t number(const Request& request, std::string_view name, std::uint64_t otherwise = 0) {
  const std::string_view text = request.query(name).value_or("");
  std::uint64_t value = otherwise;
  (void)std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// What a streamed body of `size` bytes consists of: lines with their own place.
std::string pattern(std::uint64_t offset, std::size_t size) {
  std::string text;
  while (text.size() < size) {
    const std::string place = std::to_string((offset + text.size()) / 8);
    text += std::string(7 - place.size(), '0') + place + "\n";
  }
  return text;
}

class Counted : public prong::Upload {
 public:
  explicit Counted(std::uint64_t enough) : enough_(enough) {}
  ~Counted() override { prong::info("upload ended after " + std::to_string(sum_.size()) + " bytes"); }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;

  bool piece(std::string_view bytes) override {
    if (bytes.find("throw here") != std::string_view::npos) throw std::runtime_error("a piece that cannot be");
    ++pieces_;
    sum_.add(bytes);
    return enough_ == 0 || sum_.size() <= enough_;
  }
  void finish(const Request& /*request*/, Response& response) override {
    if (enough_ != 0 && sum_.size() > enough_) return response.text(413, "enough\n");
    response.header("Pieces", std::to_string(pieces_)).text(200, sum_.text());
  }

 private:
  std::uint64_t enough_;
  std::uint64_t pieces_ = 0;
  Sum sum_;
};

struct Probe {
  using Handler = void (Probe::*)(const Request&, Response&);

  std::map<std::string_view, Handler> paths = {{"/request", &Probe::tell_request},
                                               {"/answer", &Probe::answer_as_asked},
                                               {"/body", &Probe::sum_body},
                                               {"/read", &Probe::read_body},
                                               {"/file", &Probe::send_file},
                                               {"/part", &Probe::send_part},
                                               {"/stream", &Probe::stream},
                                               {"/trickle", &Probe::trickle},
                                               {"/cut", &Probe::cut},
                                               {"/large", &Probe::large},
                                               {"/later", &Probe::later},
                                               {"/never", &Probe::never},
                                               {"/drop", &Probe::drop},
                                               {"/descriptor", &Probe::descriptor},
                                               {"/post", &Probe::post},
                                               {"/twice", &Probe::twice},
                                               {"/silent", &Probe::silent},
                                               {"/log", &Probe::log_lines},
                                               {"/timer", &Probe::timer},
                                               {"/count", &Probe::count},
                                               {"/throw", &Probe::throw_stream},
                                               {"/pid", &Probe::pid}};
  std::atomic<int> ticks{0};
  prong::Timer tick = prong::every(std::chrono::milliseconds{20}, [this] { ++ticks; });
  prong::Counter counted = prong::counter("probe_counted_total", "requests for /count", R"(kind="plain")");
  prong::Gauge level = prong::gauge("probe_level", "what /count?level= said");
  prong::Histogram took = prong::histogram("probe_took_seconds", "what /count?took_ms= said");
  std::list<prong::Deferred> waiting = {};

  void handle(const Request& request, Response& response) {
    const auto found = paths.find(request.path());
    if (found == paths.end()) return response.text(404, "no such probe\n");
    (this->*found->second)(request, response);
  }

  void pid(const Request& /*request*/, Response& response) { response.text(200, std::to_string(::getpid())); }

  void tell_request(const Request& request, Response& response) {
    std::string text;
    const auto tell = [&text](std::string_view name, std::string_view value) {
      text.append(name).append("=").append(value).append("\n");
    };
    tell("method", request.method());
    tell("path", request.path());
    tell("raw_path", request.raw_path());
    tell("prefix", request.prefix());
    tell("target", request.target());
    tell("host", request.host());
    tell("raw_query", request.raw_query());
    tell("version_minor", std::to_string(request.version_minor()));
    tell("scheme", request.scheme());
    tell("peer", request.peer().address);
    tell("peer_port", std::to_string(request.peer().port));
    tell("client", request.client().address);
    tell("has_body", request.has_body() ? "yes" : "no");
    for (const auto& [name, value] : request.queries()) tell("query." + std::string(name), value);
    for (const prong::Header& header : request.headers()) tell("header." + std::string(header.name), header.value);
    tell("found", request.header("x-pRoBe").value_or("nothing"));
    response.text(200, text);
  }
  void answer_as_asked(const Request& request, Response& response) {
    if (const auto name = request.query("name")) response.header(*name, request.query("value").value_or(""));
    response.send(static_cast<unsigned>(number(request, "status", 200)), request.query("body").value_or(""));
  }
  void sum_body(const Request& request, Response& response) {
    Sum sum;
    sum.add(request.body());
    response.text(200, sum.text());
  }
  void read_body(const Request& request, Response& response) {
    Sum sum;
    std::array<char, 1000> buffer{};
    while (const std::size_t got = request.read_body(sum.size(), buffer.data(), buffer.size()))
      sum.add({buffer.data(), got});
    response.text(200, sum.text());
  }
  void send_file(const Request& request, Response& response) {
    if (!response.file(200, std::string(request.query("path").value_or("")), "text/x-probe"))
      response.text(404, "no such file\n");
  }
  void send_part(const Request& request, Response& response) {
    const int file = ::open(std::string(request.query("path").value_or("")).c_str(), O_RDONLY | O_CLOEXEC);
    response.file(206, file, number(request, "offset"), number(request, "length"));
  }
  void large(const Request& request, Response& response) { response.send(200, pattern(0, number(request, "bytes"))); }

  // Of so many bytes; says in the log how far it came.
  void stream(const Request& request, Response& response) {
    struct Progress {
      std::uint64_t made = 0;
      ~Progress() { prong::info("stream ended after " + std::to_string(made) + " bytes"); }
    };
    const std::uint64_t bytes = number(request, "bytes");
    const bool known = request.query("length").has_value();
    response.header("Content-Type", "text/x-probe");
    auto read = [progress = std::make_shared<Progress>(), bytes](prong::Body& body, std::size_t room) {
      const std::size_t size = std::min<std::uint64_t>(std::max<std::size_t>(room / 8, 1) * 8, bytes - progress->made);
      body.write(std::string_view(pattern(progress->made, size)).substr(0, size));
      progress->made += size;
      return progress->made == bytes ? prong::Next::kEnd : prong::Next::kMore;
    };
    response.stream(200, read, known ? std::optional<std::uint64_t>(bytes) : std::nullopt);
  }
  // Three lines, each from a timer.
  void trickle(const Request& /*request*/, Response& response) {
    struct State {
      int line = 0;
      bool ready = true;
      prong::Timer timer = {};
      prong::BodyWaker waker = {};
    };
    auto state = std::make_shared<State>();
    state->waker = response.stream(200, [state](prong::Body& body, std::size_t /*room*/) {
      if (!std::exchange(state->ready, false)) return prong::Next::kWait;
      body.write("line " + std::to_string(++state->line) + "\n");
      if (state->line == 3) return prong::Next::kEnd;
      state->timer = prong::after(std::chrono::milliseconds{5}, [state] {
        state->ready = true;
        state->waker.wake();
      });
      return prong::Next::kWait;
    });
  }
  void cut(const Request& /*request*/, Response& response) {
    response.stream(200, [made = 0](prong::Body& body, std::size_t /*room*/) mutable {
      if (made++ > 0) return prong::Next::kCut;
      body.write("not whole");
      return prong::Next::kMore;
    });
  }
  void throw_stream(const Request& /*request*/, Response& response) {
    response.stream(200, [made = 0](prong::Body& body, std::size_t /*room*/) mutable {
      if (made++ > 0) throw std::runtime_error("the source has run dry");
      body.write("not whole");
      return prong::Next::kMore;
    });
  }

  void later(const Request& request, Response& response) {
    auto deferred = std::make_shared<prong::Deferred>(response.defer());
    deferred->on_gone([] { prong::info("a client of /later is gone"); });
    prong::after(std::chrono::milliseconds{number(request, "ms")}, [deferred] {
      deferred->header("Later", "yes").text(200, "later\n");
      prong::info("answered later");
    }).detach();
  }
  void never(const Request& /*request*/, Response& response) {
    waiting.push_back(response.defer());
    waiting.back().on_gone([this, at = std::prev(waiting.end())] {
      prong::info("a client of /never is gone");
      waiting.erase(at);
    });
    prong::info("waiting for ever");
  }
  void drop(const Request& /*request*/, Response& response) { (void)response.defer(); }
  void descriptor(const Request& /*request*/, Response& response) {
    struct Pipe {
      std::array<int, 2> ends = {-1, -1};
      prong::Watch watch = {};
      Pipe() { (void)!::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK); }
      Pipe(const Pipe&) = delete;
      Pipe& operator=(const Pipe&) = delete;
      ~Pipe() {
        watch = {};
        ::close(ends[0]);
        ::close(ends[1]);
      }
    };
    auto pipe = std::make_shared<Pipe>();
    auto deferred = std::make_shared<prong::Deferred>(response.defer());
    pipe->watch = prong::watch(pipe->ends[0], PRONG_READABLE, [pipe, deferred](std::uint32_t events) {
      deferred->text(200, (events & PRONG_READABLE) != 0 ? "readable\n" : "something else\n");
      pipe->watch = {};
    });
    std::thread([pipe] { (void)!::write(pipe->ends[1], "x", 1); }).detach();
  }
  void post(const Request& request, Response& response) {
    waiting.push_back(response.defer());
    std::thread([this, at = std::prev(waiting.end()), count = number(request, "count", 1)] {
      for (std::uint64_t i = 1; i < count; ++i) prong::post([] {});
      prong::post([this, at] {
        at->text(200, "posted\n");
        waiting.erase(at);
      });
    }).detach();
  }
  void twice(const Request& /*request*/, Response& response) {
    response.text(200, "once\n");
    try {
      response.text(200, "twice\n");
    } catch (const prong::Error& error) {
      prong::info(std::string("refused: ") + error.what());
    }
  }
  void silent(const Request& /*request*/, Response& /*response*/) {}
  void log_lines(const Request& /*request*/, Response& response) {
    prong::debug("a debug line");
    prong::info("an info line with \x1b[31m and \xff");
    prong::warning("a warning line");
    prong::error("an error line");
    prong::info("first line\nsecond line");
    response.text(200, "logged\n");
  }
  void timer(const Request& /*request*/, Response& response) { response.text(200, std::to_string(ticks)); }
  void count(const Request& request, Response& response) {
    counted.add(number(request, "by", 1));
    if (request.query("level")) level.set(static_cast<std::int64_t>(number(request, "level")));
    if (request.query("took_ms")) took.observe(std::chrono::milliseconds{number(request, "took_ms")});
    response.text(200, "counted\n");
  }
};

}  // namespace

PRONG_HTTP_MODULE(probe) {
  const prong::Worker worker = prong::worker();
  prong::info("probe starts in " + std::string(worker.pool) + " slot " + std::to_string(worker.slot) + " generation " +
              std::to_string(worker.generation) + " threads " + std::to_string(worker.threads) + " of " +
              std::string(worker.path));
  const auto probe = std::make_shared<Probe>();
  prong::on_upload([](const Request& request) -> std::unique_ptr<prong::Upload> {
    if (request.path() != "/pieces") return nullptr;
    if (request.query("refuse")) throw std::runtime_error("no upload today");
    return std::make_unique<Counted>(number(request, "enough"));
  });
  prong::on_request([probe](const Request& request, Response& response) { probe->handle(request, response); });
  prong::on_drain([probe] { prong::info(prong::draining() ? "probe drains" : "probe is told to drain too early"); });
  prong::on_stop([probe] { prong::info("probe stops"); });
}
