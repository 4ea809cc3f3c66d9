#include "ipc/control_place.hpp"

#include <unistd.h>

#include <cstdlib>

namespace prong::ipc {
namespace {

constexpr const char* kSystemFolder = "/run/prongd";

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): before any thread, and nobody sets it
  return value != nullptr ? value : "";
}

}  // namespace

ControlSurroundings ControlSurroundings::of_this_process() {
  return {.runtime_directory = environment("RUNTIME_DIRECTORY"),
          .user_directory = environment("XDG_RUNTIME_DIR"),
          .uid = ::geteuid()};
}

std::vector<ControlPlace> own_control_places(const ControlSurroundings& surroundings) {
  const std::string given = surroundings.runtime_directory.substr(0, surroundings.runtime_directory.find(':'));
  if (given.starts_with('/')) return {{.folder = given}};
  if (surroundings.uid == 0) return {{.folder = kSystemFolder, .mode = 0755}};
  if (surroundings.user_directory.starts_with('/'))
    return {{.folder = surroundings.user_directory + "/prongd", .mode = 0700}};
  return {};
}

std::vector<ControlPlace> control_places_to_ask(const ControlSurroundings& surroundings) {
  std::vector<ControlPlace> places = own_control_places(surroundings);
  // In a unit (ExecReload=) its own daemon is meant and no other. Others may be members of the group that the system's
  // daemon lets in.
  const bool in_unit = surroundings.runtime_directory.starts_with('/');
  if (!in_unit && surroundings.uid != 0) places.push_back({.folder = kSystemFolder});
  return places;
}

}  // namespace prong::ipc
