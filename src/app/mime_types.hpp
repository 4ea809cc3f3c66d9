// Media types by file name extension.
#pragma once

#include <string_view>

namespace prong::app {

// "text/html; charset=utf-8" for "a/b/index.HTML"; empty when the name has no extension, or none that is known.
[[nodiscard]] std::string_view mime_type(std::string_view file_name);

}  // namespace prong::app
