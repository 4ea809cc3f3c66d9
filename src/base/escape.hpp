// Bytes that came from outside, made safe to print in one log line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace prong {

enum class Quotes : bool { kEscape, kKeep };  // kKeep: for text that is not going to stand in quotes

// Printable ASCII stays; a quote, a backslash and every other byte become \" \\ \n \xNN, so that no client can forge
// a line or an escape sequence of a terminal. Text longer than most_bytes is cut and ends in "...".
[[nodiscard]] std::string escaped(std::string_view bytes, std::size_t most_bytes = 256,
                                  Quotes quotes = Quotes::kEscape);

}  // namespace prong
