// Lists in messages: "a, b, c".
#pragma once

#include <string>

namespace prong {

// fmt::join does the same, but g++ 12 warns about the inside of it at -O3 (a false positive).
template <class Range>
[[nodiscard]] std::string joined(const Range& texts) {
  std::string list;
  for (const auto& text : texts) {
    if (!list.empty()) list += ", ";
    list += text;
  }
  return list;
}

}  // namespace prong
