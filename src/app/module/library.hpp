// A module's shared library, loaded and found to be one that this prongd can run.
#pragma once

#include <string>

#include "app/module/settings.hpp"
#include "base/error.hpp"
#include "prong/module.h"

namespace prong::app::module {

// Loads the library, and takes over what it says it is; what its version does not know is zero. The error says why it
// cannot be run, with the path. Runs the library's constructors.
[[nodiscard]] Result<prong_module> load_library(const std::string& path);

// Whether it has what it takes in that pool: the callbacks of the protocol and of the model.
[[nodiscard]] Result<void> check_fit(const prong_module& module, const Settings& settings);

// What load_library() does with what it has found. `entry` is borrowed.
[[nodiscard]] Result<prong_module> adopt(const prong_module* entry, const std::string& path);

}  // namespace prong::app::module
