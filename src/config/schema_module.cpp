// The app table `module`: a shared object that the workers load.
#include <array>

#include "config/member.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

constexpr Access path_access() {
  Access access = member<&ModuleConfig::path>(Kind::kPath);
  access.place = MemberAccess<&ModuleConfig::path_position>::place;
  return access;
}

constexpr std::array kModuleKeys{
    Key{.name = "path",
        .access = path_access(),
        .presence = Presence::kRequired,
        .range = {1, 4'095},
        .example = R"("/usr/lib/prongd/hello.so")",
        .doc = "The shared object. The workers load it, never the master; each reload loads it anew. Replace the file "
               "with install(1) or mv(1): one that is written over while it is in use crashes the workers."},
    Key{.name = "protocol",
        .access = member<&ModuleConfig::protocol>(),
        .doc = "What it speaks with clients: `http`, where prongd reads the requests and the module answers them, or "
               "`stream`, where the module has the bytes of each connection."},
    Key{.name = "options",
        .access = member<&ModuleConfig::options>(),
        .example = R"({ greeting = "hi", limits = { max = 3 }, peers = ["a", "b"] })",
        .doc = "What the module itself wants to know. Keys are ASCII letters, digits, `_` and `-`; values are "
               "booleans, numbers, strings, and lists and tables of them, at most 16 in each other."},
};

}  // namespace

constexpr Section kModuleSection{
    .title = "module",
    .doc =
        "App table: a module, that is an application in C++, C or whatever makes a shared object with the functions "
        "of `<prong/module.h>`.",
    .keys = kModuleKeys,
    .defaults = defaults_of<ModuleConfig>,
};

}  // namespace prong::config
