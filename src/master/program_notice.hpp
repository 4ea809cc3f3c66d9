// What a program says about itself over its notify socket: the two fields of sd_notify(3) that mean something here.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace prong::master {

struct ProgramNotice {
  bool ready = false;                 // READY=1
  std::optional<std::string> status;  // STATUS=, escaped and cut for one log line
};
// All other fields are ignored, as sd_notify(3) asks of a receiver that does not know them.
[[nodiscard]] ProgramNotice parse_notice(std::string_view text);

}  // namespace prong::master
