// Where prongd-launch is (src/launch).
#pragma once

#include "os/unique_fd.hpp"

namespace prong {

// Its open file: beside this program, as in a build folder, or where it is installed. Open for the daemon's whole life,
// so that a new version on the disk changes nothing for a daemon that runs. Invalid: there is none, and pools of
// programs do without.
[[nodiscard]] os::UniqueFd open_launcher();

}  // namespace prong
