// A line on the control socket from anywhere: what is understood is written and read back as the same request, what is
// refused gets an answer of one line that is JSON whatever the line had in it.
//
// The input: the line.
#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "ipc/control.hpp"

namespace {

using namespace prong;

void require(bool holds, const char* what) {
  if (holds) return;
  (void)std::fprintf(stderr, "violated: %s\n", what);
  std::abort();
}

void check_answer(const ipc::ControlAnswer& answer, bool good) {
  const std::string line = ipc::to_line(answer);
  require(line.find('\n') == line.size() - 1, "an answer is one line");
  const auto json = nlohmann::json::parse(line, nullptr, false);
  require(json.is_object() && json["version"] == ipc::kControlVersion && json["ok"] == good, "of this protocol");
}

void check_refusal(const Error& error) {
  require(!error.message.empty(), "a refusal says why");
  constexpr std::size_t kMostText = 400;
  require(error.text().size() < kMostText, "and does not send back what it got");
  for (const char byte : error.text()) require(static_cast<unsigned char>(byte) >= ' ', "nor what a terminal obeys");
  check_answer(ipc::ControlFailure{.error = error, .details = {}}, false);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view line(reinterpret_cast<const char*>(data), size);
  const auto request = ipc::parse_control_request(line);
  if (!request) {
    check_refusal(request.error());
  } else {
    const auto again = ipc::parse_control_request(ipc::to_line(*request));
    require(again.has_value() && *again == *request, "a request is read as it is written");
  }
  // Texts of an answer come from workers and files: any bytes.
  check_answer(ipc::ControlDone{.text = std::string(line)}, true);
  return 0;
}
