// Patterns for names, as they stand in a configuration.
#pragma once

#include <string_view>

namespace prong::app {

// Whether the whole of `text` is what `pattern` says: `*` is any text, also none and also with slashes, `?` is one
// character of UTF-8 (of what is not UTF-8, one byte and what would continue it), all else is itself. Takes at most
// their product of steps.
[[nodiscard]] bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace prong::app
