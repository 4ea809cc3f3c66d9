// Where the control socket is when nobody says it: the one rule that prongd and prongctl share. Never in a home or at a
// relative path: what lies there may outlive the daemon, be shared over a network, or belong to somebody else.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace prong::ipc {

// What the rule looks at; of() is this process's own.
struct ControlSurroundings {
  std::string runtime_directory;  // $RUNTIME_DIRECTORY of systemd.exec(5): folders with colons between them
  std::string user_directory;     // $XDG_RUNTIME_DIR of pam_systemd(8)
  uid_t uid = 0;
  [[nodiscard]] static ControlSurroundings of_this_process();
};

struct ControlPlace {
  std::string folder;
  mode_t mode = 0;  // of the folder when the daemon makes it; 0: it is there already or nobody's to make
  [[nodiscard]] std::string socket() const { return folder + "/control.sock"; }
};

// The daemon's: at most one.
[[nodiscard]] std::vector<ControlPlace> own_control_places(const ControlSurroundings& surroundings);
// Where a client looks, in this order: its own user's daemon first, then the system's.
[[nodiscard]] std::vector<ControlPlace> control_places_to_ask(const ControlSurroundings& surroundings);

}  // namespace prong::ipc
