#include "app/glob.hpp"

#include <cstddef>

namespace prong::app {
namespace {

// Behind the character at `at`.
std::size_t next_character(std::string_view text, std::size_t at) {
  constexpr unsigned kContinuationMask = 0xC0;
  constexpr unsigned kContinuation = 0x80;
  ++at;
  while (at < text.size() && (static_cast<unsigned char>(text[at]) & kContinuationMask) == kContinuation) ++at;
  return at;
}

}  // namespace

// Where the text stops to match, the last star takes one byte more. Stars before it need not: what they took was the
// shortest that let the pattern go on, so taking more could only leave less for the rest.
bool glob_matches(std::string_view pattern, std::string_view text) {
  std::size_t in_pattern = 0;
  std::size_t in_text = 0;
  std::size_t star = std::string_view::npos;
  std::size_t taken = 0;  // the end of what the last star took
  while (in_text < text.size()) {
    const char wanted = in_pattern < pattern.size() ? pattern[in_pattern] : '\0';
    if (in_pattern < pattern.size() && wanted == '*') {
      star = in_pattern++;
      taken = in_text;
    } else if (in_pattern < pattern.size() && wanted == '?') {
      ++in_pattern;
      in_text = next_character(text, in_text);
    } else if (in_pattern < pattern.size() && wanted == text[in_text]) {
      ++in_pattern;
      ++in_text;
    } else if (star != std::string_view::npos) {
      in_pattern = star + 1;
      in_text = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

}  // namespace prong::app
