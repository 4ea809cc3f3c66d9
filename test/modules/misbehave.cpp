// An HTTP module that fails in every way that C++ offers, when it starts (option `start`) or in a request (its path).
#include <fcntl.h>
#include <prong/module.hpp>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

// Never ends by itself, and the compiler may not assume that it does.
int overrun(int depth) {
  volatile char block[1024] = {};
  block[depth % 1024] = static_cast<char>(depth);
  return overrun(depth + 1) + block[(depth + 1) % 1024];
}

// Past the end of a block on the heap. The sanitizers are told to look away: this is about what the others notice.
__attribute__((no_sanitize("address", "undefined"))) void write_past_the_end() {
#if defined(__SANITIZE_ADDRESS__)
  constexpr std::size_t kPast = 8;  // their allocator keeps its own books behind the red zone
#else
  constexpr std::size_t kPast = 4096;
#endif
  volatile char* const block = new char[16];
  for (std::size_t i = 0; i < 16 + kPast; ++i) block[i] = 'x';
  delete[] block;
}

void leak(std::size_t bytes) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<char[]>>;
  auto block = std::make_unique<char[]>(bytes);
  std::memset(block.get(), 'x', bytes);
  const std::lock_guard<std::mutex> lock(mutex);
  kept->push_back(std::move(block));
}

void loop_for_ever() {
  volatile bool ended = false;
  while (!ended) {
  }
}

prong::Timer& late() {
  static prong::Timer timer;
  return timer;
}

[[noreturn]] void terminate_by_noexcept() noexcept {
  throw std::runtime_error("thrown where nothing may be");  // NOLINT: that is what it is for
}

__attribute__((no_sanitize("address", "undefined"))) void crash() {
  volatile int* volatile nowhere = nullptr;  // with one volatile less g++ 12 leaves the writing out at some level
  *nowhere = 1;                              // NOLINT(clang-analyzer-core.NullDereference): that is what it is for
}

const std::unordered_map<std::string_view, void (*)()>& ways() {
  static const std::unordered_map<std::string_view, void (*)()> all = {
      {"throw", [] { throw std::runtime_error("thrown on purpose"); }},
      {"throw-int", [] { throw 42; }},
      {"exit-0", [] { std::exit(0); }},
      {"exit-3", [] { std::exit(3); }},
      {"quick-exit", [] { ::_exit(7); }},
      {"abort", [] { std::abort(); }},
      {"terminate", [] { terminate_by_noexcept(); }},
      {"overrun", [] { (void)overrun(0); }},
      {"crash", [] { crash(); }},
      {"hang", [] { loop_for_ever(); }},
      {"hang-timer", [] { late() = prong::after(std::chrono::milliseconds(1), loop_for_ever); }},
      {"hang-post", [] { prong::post(loop_for_ever); }},
      {"heap", [] { write_past_the_end(); }},
      {"leak", [] { leak(std::size_t{4} << 20U); }},
  };
  return all;
}

}  // namespace

PRONG_HTTP_MODULE(misbehave) {
  if (const auto way = ways().find(prong::options::text("start")); way != ways().end()) way->second();
  prong::on_request([](const prong::Request& request, prong::Response& response) {
    if (const auto way = ways().find(request.path().substr(1)); way != ways().end()) way->second();
    response.text(200, request.path() == "/pid" ? std::to_string(::getpid()) : "ok");
  });
}
