// Configurations that no file says: what the options of the command line stand for.
#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"

namespace prong::config {

inline constexpr std::string_view kDefaultStaticAddress = "127.0.0.1:8080";

// `prongd --static DIRECTORY [--listen ADDRESS]`: one pool "static". A relative directory is taken from the working
// directory. Check the result with config/check.hpp like any other; positions name the option.
[[nodiscard]] Config for_static(const std::string& directory,
                                const std::string& address = std::string{kDefaultStaticAddress});

}  // namespace prong::config
