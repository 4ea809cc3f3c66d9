#include "app/module/library.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/escape.hpp"
#include "os/shared_library.hpp"

namespace prong::app::module {
namespace {

constexpr const char* kEntry = "prong_module_entry";
// Up to the callbacks: what every version has.
constexpr std::size_t kLeastSize = offsetof(prong_module, start);

std::string name_of(const std::string& path) {
  return fmt::format("module \"{}\"", escaped(path));
}

std::uint32_t bit_of(Model model) {
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

std::string_view text_of(Model model) {
  switch (model) {
    case Model::kEvent:
      return "event";
    case Model::kThread:
      return "thread";
    case Model::kProcess:
      break;
  }
  return "process";
}

std::string models_text(std::uint32_t bits) {
  std::string text;
  for (const Model model : {Model::kEvent, Model::kThread, Model::kProcess})
    if ((bits & bit_of(model)) != 0) text += fmt::format("{}\"{}\"", text.empty() ? "" : " or ", text_of(model));
  return text.empty() ? "something that this prongd does not know" : text;
}

}  // namespace

Result<prong_module> adopt(const prong_module* entry, const std::string& path) {
  std::uint32_t size = 0;
  std::uint32_t abi = 0;
  std::memcpy(&size, entry, sizeof size);
  std::memcpy(&abi, reinterpret_cast<const char*>(entry) + sizeof size, sizeof abi);
  if (abi > PRONG_ABI || size > sizeof(prong_module))
    return failure(
        fmt::format("{} was built for version {} of the module ABI ({} bytes), and this prongd has version {} "
                    "({} bytes)",
                    name_of(path), abi, size, PRONG_ABI, sizeof(prong_module)),
        "build it with the headers of this prongd, or run a newer prongd");
  if (abi == 0 || size < kLeastSize)
    return failure(fmt::format("{}: its {} is none (version {}, {} bytes)", name_of(path), kEntry, abi, size),
                   "set .size = sizeof(prong_module) and .abi = PRONG_ABI");
  prong_module module{};
  std::memcpy(&module, entry, size);
  module.size = sizeof module;
  return module;
}

Result<prong_module> load_library(const std::string& path) {
  const auto library = os::SharedLibrary::open(path);
  if (!library) return failure(fmt::format("cannot load {}", name_of(path)), library.error());
  const auto* const entry = static_cast<const prong_module*>(library->find(kEntry));
  if (entry == nullptr)
    return failure(
        fmt::format("{} has no symbol {}, so it is no module of prongd", name_of(path), kEntry),
        "use PRONG_HTTP_MODULE or PRONG_STREAM_MODULE of prong/module.hpp, or define it as prong/module.h says");
  return adopt(entry, path);
}

Result<void> check_fit(const prong_module& module, const Settings& settings) {
  const std::string name = name_of(settings.path);
  const bool is_http = module.request != nullptr;
  const bool is_stream = module.data != nullptr || module.serve != nullptr;
  if (!is_http && !is_stream)
    return failure(fmt::format("{} has none of the callbacks request, data and serve", name), "it answers nothing");
  if (settings.protocol == Protocol::kHttp && !is_http)
    return failure(fmt::format("{} speaks no HTTP: it is a stream module", name),
                   "write protocol = \"stream\" beside its path");
  if (settings.protocol == Protocol::kStream && !is_stream)
    return failure(fmt::format("{} is an HTTP module, and no stream module", name), "leave protocol = \"stream\" out");
  if (module.models != 0 && (module.models & bit_of(settings.model)) == 0)
    return failure(fmt::format("{} does not run in concurrency = \"{}\"", name, text_of(settings.model)),
                   fmt::format("it says that it runs in {}", models_text(module.models)));
  if (settings.protocol == Protocol::kHttp) return {};
  if (settings.model == Model::kEvent && module.data == nullptr)
    return failure(
        fmt::format("{} blocks: it has no callback data, so it does not run in concurrency = \"event\"", name),
        R"(write concurrency = "thread" or "process")");
  if (settings.model != Model::kEvent && module.serve == nullptr)
    return failure(
        fmt::format("{} never blocks: it has no callback serve, so it runs in concurrency = \"event\" alone", name),
        R"(write concurrency = "event")");
  return {};
}

}  // namespace prong::app::module
