#include "ctl/explain.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/message_code.hpp"
#include "ctl/table.hpp"

namespace prong::ctl {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kWidth = 100;  // of the text; a terminal is seldom narrower
constexpr std::size_t kIndent = 12;  // behind "What to do"

std::string_view text_of(MessageLevel level) {
  switch (level) {
    case MessageLevel::kWarn:
      return "warn";
    case MessageLevel::kError:
      return "error";
  }
  return {};
}

// "Cause       Something that ...", broken between words.
std::string paragraph(std::string_view title, std::string_view text) {
  std::string result = fmt::format("{:<{}}", title, kIndent);
  std::size_t column = kIndent;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (column > kIndent && column + 1 + word.size() > kWidth) {
      result += fmt::format("\n{:{}}", "", kIndent);
      column = kIndent;
    } else if (column > kIndent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
  }
  return result + '\n';
}

std::string text_of(const Message& message) {
  return fmt::format("{} ({}): {}\n\n", to_text(message.code), text_of(message.level), message.summary) +
         paragraph("Cause", message.cause) + paragraph("Effect", message.effect) +
         paragraph("What to do", message.action);
}

Json json_of(const Message& message) {
  return {{"code", to_text(message.code)}, {"level", text_of(message.level)}, {"topic", topic_of(message.code)},
          {"summary", message.summary},    {"cause", message.cause},          {"effect", message.effect},
          {"action", message.action}};
}

std::string list() {
  std::vector<std::vector<std::string>> rows;
  for (const Message& message : all_messages())
    rows.push_back({to_text(message.code), std::string{text_of(message.level)}, std::string{message.summary}});
  return to_table({{.title = "CODE"}, {.title = "LEVEL"}, {.title = "MESSAGE"}}, rows);
}

Json list_json() {
  Json messages = Json::array();
  for (const Message& message : all_messages()) messages.push_back(json_of(message));
  return {{"messages", messages}};
}

}  // namespace

Result<std::string> explain(const std::string& code, ExplainAs form) {
  if (code.empty()) return form == ExplainAs::kJson ? list_json().dump(2) + '\n' : list();
  const auto message = find_message(code);
  if (!message)
    return failure(fmt::format("there is no code \"{}\"", code),
                   "`prongctl explain` lists all; a daemon that is newer than this prongctl may have more");
  return form == ExplainAs::kJson ? json_of(*message).dump(2) + '\n' : text_of(*message);
}

}  // namespace prong::ctl
