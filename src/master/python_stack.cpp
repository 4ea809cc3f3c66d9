#include "master/python_stack.hpp"

#include <fmt/format.h>

#include <optional>

#include "base/escape.hpp"

namespace prong::master {
namespace {

// Library code that calls C, the code that uses it, and who called that.
constexpr std::size_t kNamedFrames = 3;
// A line has a file's and a function's name, which faulthandler cuts at 500 bytes each; the list of extension modules
// may be longer.
constexpr std::size_t kLongestLine = 1100;
constexpr std::size_t kLongestName = 200;

constexpr std::string_view kThreadThatDied = "Current thread ";
constexpr std::string_view kOtherThread = "Thread ";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end != 0) lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

// `  File "shop/views.py", line 42 in crash`; nothing: the line is something else.
std::optional<std::string> frame_of(std::string_view line) {
  constexpr std::string_view kFile = "  File \"";
  constexpr std::string_view kLine = "\", line ";
  constexpr std::string_view kFunction = " in ";
  if (!line.starts_with(kFile)) return std::nullopt;
  line.remove_prefix(kFile.size());
  // From the end: a file may have any name, a function's has no blanks.
  const std::size_t function = line.rfind(kFunction);
  const std::size_t number = line.substr(0, function).rfind(kLine);
  if (function == std::string_view::npos || number == std::string_view::npos) return std::nullopt;
  const std::size_t number_at = number + kLine.size();
  return fmt::format("{} ({}:{})", escaped(line.substr(function + kFunction.size()), kLongestName, Quotes::kKeep),
                     escaped(line.substr(0, number), kLongestName, Quotes::kKeep),
                     escaped(line.substr(number_at, function - number_at), kLongestName, Quotes::kKeep));
}

struct Parts {
  std::vector<std::string_view> cause;   // and whatever belongs to no thread
  std::vector<std::string_view> died;    // the thread, with its heading
  std::vector<std::string_view> others;  // threads
};

Parts parts_of(std::string_view text) {
  Parts parts;
  std::vector<std::string_view>* part = &parts.cause;
  for (const std::string_view line : lines_of(text)) {
    if (line.starts_with(kThreadThatDied))
      part = &parts.died;
    else if (line.starts_with(kOtherThread))
      part = &parts.others;
    else if (!line.starts_with("  "))
      part = &parts.cause;
    part->push_back(line);
  }
  return parts;
}

std::string innermost_of(const std::vector<std::string_view>& thread) {
  std::string text;
  std::size_t named = 0;
  for (const std::string_view line : thread) {
    const auto frame = frame_of(line);
    if (!frame) continue;
    if (named > 0) text += named == 1 ? ", called by " : ", ";
    text += *frame;
    if (++named == kNamedFrames) break;
  }
  return text;
}

}  // namespace

PythonStack parse_python_stack(std::string_view text) {
  const Parts parts = parts_of(text.substr(0, PythonStack::kMostBytes));
  PythonStack stack{.innermost = innermost_of(parts.died), .lines = {}};
  std::size_t left_out = 0;
  for (const auto* const part : {&parts.cause, &parts.died, &parts.others}) {
    for (const std::string_view line : *part) {
      if (stack.lines.size() < PythonStack::kMostLines)
        stack.lines.push_back(escaped(line, kLongestLine, Quotes::kKeep));
      else
        ++left_out;
    }
  }
  if (left_out > 0) stack.lines.push_back(fmt::format("... and {} lines more", left_out));
  return stack;
}

}  // namespace prong::master
