#include "config/nesting.hpp"

#include <algorithm>

namespace prong::config {
namespace {

// Walks over TOML text outside of its strings and comments.
class Walk {
 public:
  explicit Walk(std::string_view text) : text_(text) {}

  std::optional<TooDeep> run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"' || c == '\'')
        skip_string(c);
      else if (c == '#')
        skip_comment();
      else
        count(c);
      if (dots_ > kMostDots || brackets_ > kMostBrackets) return TooDeep{line()};
    }
    return std::nullopt;
  }

 private:
  [[nodiscard]] std::size_t line() const {
    return 1 + static_cast<std::size_t>(std::ranges::count(text_.substr(0, at_), '\n'));
  }

  void count(char c) {
    ++at_;
    if (c == '.') ++dots_;
    if (c == '[' || c == '{') ++brackets_;
    if ((c == ']' || c == '}') && brackets_ > 0) --brackets_;
    // The ends of a dotted key. Dots in numbers and times are counted, and never many in one value.
    constexpr std::string_view kEnds = "[]{}=,\n";
    if (kEnds.contains(c)) dots_ = 0;
  }

  void skip_comment() { at_ = std::min(text_.find('\n', at_), text_.size()); }

  void skip_string(char quote) {
    const std::string_view rest = text_.substr(at_);
    const bool multi_line = rest.size() >= 3 && rest[1] == quote && rest[2] == quote;
    at_ += multi_line ? 3 : 1;
    while (at_ < text_.size() && !at_end_of_string(quote, multi_line))
      at_ += quote == '"' && text_[at_] == '\\' ? 2 : 1;
    at_ = std::min(at_ + (multi_line ? 3 : 1), text_.size());
    // Up to two quotes may stand just before the three that end a multi-line string.
    while (multi_line && at_ < text_.size() && text_[at_] == quote) ++at_;
  }

  [[nodiscard]] bool at_end_of_string(char quote, bool multi_line) const {
    if (text_[at_] == '\n') return !multi_line;
    if (text_[at_] != quote) return false;
    return !multi_line || (text_.substr(at_).size() >= 3 && text_[at_ + 1] == quote && text_[at_ + 2] == quote);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t dots_ = 0;
  std::size_t brackets_ = 0;
};

}  // namespace

std::optional<TooDeep> too_deep(std::string_view text) {
  return Walk{text}.run();
}

}  // namespace prong::config
