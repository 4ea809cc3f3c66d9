// What a worker tells the module that it loads, and what it lends it: values, so that an application knows neither the
// configuration nor the scoreboard.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"

namespace prong::app::module {

// How the worker runs it (design.md section 7).
enum class Model : std::uint8_t { kEvent, kThread, kProcess };
enum class Protocol : std::uint8_t { kHttp, kStream };

// Where something was written; no line: on the command line.
struct Place {
  std::string file = {};
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};
struct Option {
  std::string name = {};  // "greeting", "limits.max", "peers[0]"
  std::variant<bool, std::int64_t, double, std::string> value = {};
  Place place = {};
};
// A list, or a table that is empty: one with entries is nothing but the first part of their names.
struct OptionList {
  std::string name = {};
  std::size_t size = 0;
  bool is_table = false;
  Place place = {};
};

struct Settings {
  std::string path = {};  // with a slash
  Protocol protocol = Protocol::kHttp;
  Model model = Model::kEvent;
  std::size_t threads = 1;
  std::string pool = {};
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::vector<Option> options = {};
  std::vector<OptionList> lists = {};
  std::size_t stream_buffer = 1;              // bytes; of one stream that wait for its client before nothing is read
  std::size_t most_output = ~std::size_t{0};  // bytes; of one stream, beyond which it is cut
};

// Where the module's own numbers live. All of it may be called on any thread.
struct Metrics {
  struct Name {
    std::string_view name, labels, help;
  };
  std::function<Result<std::uint64_t*>(const Name&)> counter = {};
  std::function<Result<std::int64_t*>(const Name&)> gauge = {};
  std::function<Result<void*>(const Name&)> histogram = {};
  void (*observe)(void* histogram, std::chrono::nanoseconds duration) = nullptr;
};

}  // namespace prong::app::module
