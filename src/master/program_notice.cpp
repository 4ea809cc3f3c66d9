#include "master/program_notice.hpp"

#include "base/escape.hpp"

namespace prong::master {

ProgramNotice parse_notice(std::string_view text) {
  constexpr std::string_view kStatus = "STATUS=";
  ProgramNotice notice;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view field = text.substr(0, end);
    if (field == "READY=1") notice.ready = true;
    if (field.starts_with(kStatus)) notice.status = escaped(field.substr(kStatus.size()), 256, Quotes::kKeep);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return notice;
}

}  // namespace prong::master
