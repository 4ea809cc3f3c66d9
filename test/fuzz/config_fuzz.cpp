// Any bytes as a configuration: the reader must not crash, hang or throw, and what it accepts must come back the same
// through --print-config.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/diff.hpp"
#include "config/print.hpp"
#include "config/reader.hpp"

namespace {

void require(bool holds, const char* what, const std::string& text) {
  if (holds) return;
  (void)std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());  // we abort anyway
  std::abort();
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace prong::config;
  const Loaded loaded = load_text({reinterpret_cast<const char*>(data), size}, "/fuzz/prongd.toml");
  for (const Diagnostic& diagnostic : loaded.diagnostics) {
    const std::string line = to_text(diagnostic);
    require(line.find('\n') == std::string::npos, "a message of more than one line", line);
    require(!diagnostic.message.empty(), "an empty message", line);
  }
  require(loaded.config != nullptr || !loaded.diagnostics.empty(), "nothing read and nothing told", "");
  if (!loaded.diagnostics.empty()) return 0;
  const std::string text = to_toml(*loaded.config);
  const Loaded again = load_text(text, "/fuzz/prongd.toml");
  for (const Diagnostic& diagnostic : again.diagnostics)
    require(false, "the printed configuration does not load", to_text(diagnostic).append("\n").append(text));
  for (const std::string& line : diff(*loaded.config, *again.config))
    require(false, "the printed configuration differs", std::string{line}.append("\n").append(text));
  require(to_toml(*again.config) == text, "printing is not stable", text);
  return 0;
}
