// The page for people, page.html, as it was when prongd was built (embed.py).
#pragma once

#include <string_view>

namespace prong::app {

// NOLINTNEXTLINE(readability-identifier-naming): a constant, whose value this header cannot know
extern const std::string_view kStatusPage;
// The Content-Security-Policy under which it works: its own style and script by their hashes, and nothing else.
// NOLINTNEXTLINE(readability-identifier-naming): as above
extern const std::string_view kStatusPageSecurityPolicy;

}  // namespace prong::app
