// A guard in front of the TOML parser. toml++ 3.3 limits the nesting of brackets, but builds one table for each part of
// a dotted key, and destroys tables recursively: "a.a.a. ..." of some 100 KiB overflows the stack of the process, which
// would be the master.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace prong::config {

// Far above what any key needs ("pool.NAME.static.root" is 4 deep), and together far below what a stack takes.
inline constexpr std::size_t kMostDots = 16;
inline constexpr std::size_t kMostBrackets = 32;

struct TooDeep {
  std::size_t line = 0;  // from 1
};

// The first place where TOML text has a key of more than kMostDots dots or more than kMostBrackets open brackets.
// Right for every text up to its first syntax error, where the parser stops too.
[[nodiscard]] std::optional<TooDeep> too_deep(std::string_view text);

}  // namespace prong::config
