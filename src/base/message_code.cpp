#include "base/message_code.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace prong {
namespace {

constexpr std::string_view kIntroduction =
    R"(<!-- Generated from src/base/message_table.cpp by `./dev format`. Do not edit. -->

# Messages

Every warning and every error line of the log ends in a code:

```
2026-02-03 04:05:06.789 error master: cannot start: t.toml:2:11: error: cannot bind "0.0.0.0:80": Address already in use [PR0101]
```

In the journal the code is also a field of its own: `journalctl -u prongd CODE=PR0101`. The number stays the same from
version to version while the words around it may change, so alert on the number. `prongctl explain PR0101` tells what
stands here, without a daemon and without a network; `prongctl explain` lists all codes.

A *warning* means that prongd went on, and the line says how; an *error* means that somebody should act.
)";

std::string_view text_of(MessageLevel level) {
  switch (level) {
    case MessageLevel::kWarn:
      return "warning";
    case MessageLevel::kError:
      return "error";
  }
  return {};
}

}  // namespace

std::string to_text(MessageCode code) {
  return fmt::format("PR{:04}", static_cast<std::uint16_t>(code));
}

std::string_view topic_of(MessageCode code) {
  switch (static_cast<std::uint16_t>(code) / 100) {
    case 1:
      return "Start and configuration";
    case 2:
      return "Signals and reloads";
    case 3:
      return "Deaths of workers";
    case 4:
      return "The life of workers";
    case 5:
      return "Requests and connections";
    case 6:
      return "Listeners";
    case 7:
      return "The control socket";
    case 8:
      return "Logs";
    case 9:
      return "prongd itself";
    default:
      return {};
  }
}

std::optional<Message> find_message(std::string_view written) {
  if (written.starts_with("PR") || written.starts_with("pr") || written.starts_with("Pr")) written.remove_prefix(2);
  std::uint16_t number = 0;
  const auto [end, error] = std::from_chars(written.data(), written.data() + written.size(), number);
  if (error != std::errc{} || end != written.data() + written.size()) return std::nullopt;
  const auto found = std::ranges::find(all_messages(), MessageCode{number}, &Message::code);
  if (found == all_messages().end()) return std::nullopt;
  return *found;
}

std::string messages_markdown() {
  std::string text{kIntroduction};
  std::string_view topic;
  for (const Message& message : all_messages()) {
    if (topic_of(message.code) != topic) {
      topic = topic_of(message.code);
      text += fmt::format("\n## {}\n", topic);
    }
    text += fmt::format("\n### {}\n\n*{}*: {}\n\n", to_text(message.code), text_of(message.level), message.summary);
    text += fmt::format("- **Cause**: {}\n- **Effect**: {}\n- **What to do**: {}\n", message.cause, message.effect,
                        message.action);
  }
  return text;
}

}  // namespace prong
