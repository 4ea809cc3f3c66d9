// A page that lists what is in a directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "os/file.hpp"

namespace prong::app {

// How many entries a page has at the most: each costs a look at the disk while other clients wait.
inline constexpr std::size_t kMostListed = 1000;

// A name below the root without its slash, "" for the root; its files and directories in any order, which are sorted.
// Names are bytes and need not be UTF-8. `is_whole`: whether there are no more.
[[nodiscard]] std::string listing_page(std::string_view name, os::DirectoryContent content);

}  // namespace prong::app
