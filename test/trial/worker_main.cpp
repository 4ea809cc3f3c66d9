// An application that behaves as its client asks, for tests and benches of how workers treat slow, stuck and crashing
// code. Takes the place of `respond` in prongd-trial.
//
//   /            "ok"                                  /sleep?ms=1000   blocks that long, then "ok"
//   /pid         the worker's pid                      /burn?ms=50      uses the CPU that long
//   /thread      "main", or the thread's number        /hang            never returns
//   /body        what was sent                         /loop            never returns, and uses the CPU
//   /size        how many bytes were sent              /crash           a null pointer
//   /throw       an exception                          /abort  /exit    std::abort(), exit(7)
//   /stream?parts=3&size=10&ms=0                       a body that is made in parts, with a pause before each
//   /numbers?bytes=5000000                             a streamed body: "0000000\n0000001\n" and so on
//   /breaks?parts=2                                    a streamed body that fails after so many parts
//   /keep?mib=10 allocates that much and keeps it
//   /origin      client, its port, scheme, host, peer, port of the listener, parted by blanks
//
// Takes the place of `module` as well, with the same paths. Nothing is loaded: its file is mapped, and the option
// `start` = "crash", "exit" or "hang" is what it does then.
//   /mapped      the sum of the file's bytes
//
// Takes the place of `echo` as well: a client that has sent one of these words (and nothing behind it yet) gets
//   flood   10 MB, as it takes them                    hang    no answer, for ever
//   throw   the end, by an exception                   crash   the end of the worker
// and any other bytes back.
#include "main/worker_main.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "app/stream.hpp"
#include "http/handler.hpp"
#include "http/origin.hpp"
#include "worker/application.hpp"
#include "worker/worker.hpp"

namespace prong {
namespace {

std::uint64_t number(std::string_view query, std::string_view name, std::uint64_t otherwise) {
  const std::string key = std::string(name) + '=';
  const std::size_t at = query.starts_with(key) ? 0 : query.find('&' + key);
  if (at == std::string_view::npos) return otherwise;
  query.remove_prefix(at + key.size() + (query[at] == '&' ? 1 : 0));
  std::uint64_t value = otherwise;
  (void)std::from_chars(query.data(), query.data() + query.size(), value);
  return value;
}

void pause(std::uint64_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

void burn(std::uint64_t ms) {
  timespec now{};
  const auto used = [&now] {
    (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  };
  const std::uint64_t end = used() + ms * 1'000'000;
  while (used() < end) {
  }
}

class Parts final : public http::BodySource {
 public:
  Parts(std::uint64_t parts, std::uint64_t size, std::uint64_t ms, bool breaks)
      : left_(parts), size_(size), ms_(ms), breaks_(breaks) {}
  State read(std::string& into, std::size_t most) override {
    if (rest_ == 0) {
      if (left_ == 0) return breaks_ ? State::kFailed : State::kEnd;
      --left_;
      pause(ms_);
      rest_ = size_;
    }
    const auto size = std::min<std::uint64_t>(rest_, most);
    into.append(size, 'p');
    rest_ -= size;
    return State::kMore;
  }

 private:
  std::uint64_t left_;      // parts that have not begun
  std::uint64_t rest_ = 0;  // of the one that has, what there was no room for
  std::uint64_t size_;
  std::uint64_t ms_;
  bool breaks_;
};

// Each byte says where it belongs.
class Numbers final : public http::BodySource {
 public:
  explicit Numbers(std::uint64_t size) : size_(size) {}
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return size_; }
  State read(std::string& into, std::size_t most) override {
    constexpr std::size_t kLine = 8;
    const std::uint64_t end = std::min<std::uint64_t>(size_, at_ + most);
    std::string line;
    for (; at_ < end; ++at_) {
      if (line.empty() || at_ % kLine == 0) {
        line = std::to_string(at_ / kLine);
        line.insert(0, kLine - 1 - std::min(kLine - 1, line.size()), '0');
        line += '\n';
      }
      into += line[at_ % kLine];
    }
    return at_ < size_ ? State::kMore : State::kEnd;
  }

 private:
  std::uint64_t size_;
  std::uint64_t at_ = 0;
};

class Trial final : public http::Handler {
 public:
  http::BodyUse body_use(const http::Request& request) override {
    return request.path == "/body" || request.path == "/size" ? http::BodyUse::kKeep : http::BodyUse::kDrop;
  }
  http::Answer handle(const http::Request& request) override {
    const std::string_view path = request.path;
    const auto asked = [&request](std::string_view name, std::uint64_t otherwise) {
      return number(request.query, name, otherwise);
    };
    if (path == "/") return text("ok");
    if (path == "/pid") return text(std::to_string(::getpid()));
    if (path == "/thread") return text(::gettid() == ::getpid() ? "main" : std::to_string(::gettid()));
    if (path == "/origin") return text(origin_text(request));
    if (path == "/sleep") return pause(asked("ms", 1'000)), text("ok");
    if (path == "/burn") return burn(asked("ms", 50)), text("ok");
    if (path == "/body" || path == "/size") return with_body(request);
    if (path == "/stream" || path == "/breaks")
      return http::Response{
          .body = std::make_unique<Parts>(asked("parts", 3), asked("size", 10), asked("ms", 0), path == "/breaks")};
    if (path == "/numbers") return http::Response{.body = std::make_unique<Numbers>(asked("bytes", 1'000))};
    if (path == "/keep") {
      kept_.emplace_back(asked("mib", 10) << 20U, 'k');
      return text("ok");
    }
    misbehave(path);
    return http::Response{.status = 404, .body = std::string("no such trial\n")};
  }

 private:
  static http::Answer text(std::string body) { return http::Response{.body = std::move(body)}; }
  static std::string origin_text(const http::Request& request) {
    const http::Origin origin = http::origin_of(request);
    return net::to_text(origin.client.address) + ' ' + std::to_string(origin.client.port) + ' ' +
           std::string(http::to_text(origin.scheme)) + ' ' + std::string(origin.host) + ' ' +
           net::to_text(request.peer.address) + ' ' + std::to_string(request.listener.port);
  }
  static http::Answer with_body(const http::Request& request) {
    if (request.body == nullptr) return text("0");
    if (request.path == "/size") return text(std::to_string(request.body->size()));
    std::string whole(request.body->size(), ' ');
    if (!request.body->read(0, whole)) throw std::runtime_error("cannot read the body");
    return text(std::move(whole));
  }
  static void misbehave(std::string_view path) {
    if (path == "/throw") throw std::runtime_error("asked for");
    if (path == "/abort") std::abort();
    if (path == "/exit") std::exit(7);
    if (path == "/crash") (void)std::raise(SIGSEGV);
    while (path == "/hang") pause(1'000'000);
    while (path == "/loop") burn(1'000);
  }
  std::vector<std::string> kept_;
};

// The file of a module, as the dynamic linker has it: mapped and closed.
class TrialModule final : public http::Handler {
 public:
  explicit TrialModule(const config::ModuleConfig& module) {
    const int fd = ::open(module.path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status{};
    if (fd < 0 || ::fstat(fd, &status) != 0) throw std::runtime_error("no module");
    size_ = static_cast<std::size_t>(status.st_size);
    void* const mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)::close(fd);
    if (mapped == MAP_FAILED) throw std::runtime_error("no memory");
    bytes_ = static_cast<const volatile char*>(mapped);
  }
  http::Answer handle(const http::Request& request) override {
    if (request.path != "/mapped") return trial_.handle(request);
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < size_; ++i) sum += static_cast<unsigned char>(bytes_[i]);
    return http::Response{.body = std::to_string(sum)};
  }

 private:
  Trial trial_;
  const volatile char* bytes_ = nullptr;  // for as long as the worker lives
  std::size_t size_ = 0;
};

Result<std::unique_ptr<http::Handler>> load_module(const config::ModuleConfig& module) {
  for (const config::ModuleOption& option : module.options.entries) {
    const auto* const start = std::get_if<std::string>(&option.value);
    if (option.name != "start" || start == nullptr) continue;
    if (*start == "crash") (void)std::raise(SIGSEGV);
    if (*start == "exit") std::exit(0);
    while (*start == "hang") pause(1'000'000);
  }
  return std::make_unique<TrialModule>(module);
}

class TrialStream final : public app::Stream {
 public:
  void receive(std::string_view bytes, app::StreamReply& reply) override {
    if (bytes == "throw") throw std::runtime_error("asked for");
    if (bytes == "crash") (void)std::raise(SIGSEGV);
    while (bytes == "hang") pause(1'000'000);
    if (bytes != "flood") return reply.send(bytes);
    left_ = kFlood;
    reply.wants_to_send_more();
  }
  void send_more(app::StreamReply& reply) override {
    const std::size_t size = std::min(left_, reply.room());
    reply.send_owned(std::string(size, 'f'));
    left_ -= size;
    if (left_ > 0) reply.wants_to_send_more();
  }

 private:
  static constexpr std::size_t kFlood = 10'000'000;
  std::size_t left_ = 0;
};

class TrialStreams final : public app::StreamHandler {
 public:
  std::unique_ptr<app::Stream> open(const app::StreamPeer& /*peer*/, app::StreamReply& /*reply*/) override {
    return std::make_unique<TrialStream>();
  }
};

Result<std::unique_ptr<app::StreamHandler>> load_streams(const config::AppConfig& app,
                                                         const worker::Surroundings& surroundings) {
  if (std::holds_alternative<config::EchoConfig>(app)) return std::make_unique<TrialStreams>();
  return worker::load_streams(app, surroundings);
}

Result<std::unique_ptr<http::Handler>> load(const config::AppConfig& app, const worker::Surroundings& surroundings) {
  if (std::holds_alternative<config::RespondConfig>(app)) return std::make_unique<Trial>();
  if (const auto* const module = std::get_if<config::ModuleConfig>(&app)) return load_module(*module);
  return worker::load_application(app, surroundings);
}

}  // namespace

int worker_main(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  return worker::run(inheritance, pool, {.application = load, .streams = load_streams});
}

}  // namespace prong
