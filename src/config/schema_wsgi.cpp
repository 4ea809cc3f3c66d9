// The app table `wsgi`: a Python application.
#include <array>

#include "config/member.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

constexpr Access app_access() {
  Access access = member<&WsgiConfig::app>();
  access.place = MemberAccess<&WsgiConfig::app_position>::place;
  return access;
}

constexpr std::array kWsgiKeys{
    Key{.name = "app",
        .access = app_access(),
        .presence = Presence::kRequired,
        .range = {1, 1'024},
        .example = R"("shop.wsgi:application")",
        .doc =
            "The application: `module:name`, where the name may have dots; `module` alone means `module:application`. "
            "With `()` at the end it is a factory, which is called once: `shop:create_app()`."},
    Key{.name = "path",
        .access = member<&WsgiConfig::path>(),
        .range = {0, 100},
        .paths = true,
        .example = R"(["/srv/shop"])",
        .doc = "Folders for the front of sys.path, in this order; the working directory comes behind them."},
    Key{.name = "chdir",
        .access = member<&WsgiConfig::chdir>(Kind::kPath),
        .range = {0, 4'095},
        .example = R"("/srv/shop")",
        .doc = "The working directory; empty: the first folder of `path`, else the one that prongd was started in."},
    Key{.name = "venv",
        .access = member<&WsgiConfig::venv>(Kind::kPath),
        .range = {0, 4'095},
        .example = R"("/srv/shop/.venv")",
        .doc = "The virtual environment whose interpreter and packages are used; empty: the active one (VIRTUAL_ENV), "
               "else `.venv` or `venv` in the working directory, else none."},
    Key{.name = "python",
        .access = member<&WsgiConfig::python>(Kind::kPath),
        .range = {0, 4'095},
        .example = R"("/usr/bin/python3")",
        .doc = "The interpreter, CPython 3.9 or newer; empty: that of the virtual environment, else the `python3` of "
               "PATH."},
    Key{.name = "env",
        .access = member<&WsgiConfig::env>(),
        .range = {0, 1'000},
        .any_text = true,
        .example = R"({ DEBUG = "0" })",
        .doc = "Variables of the environment, beside those that prongd itself has."},
    Key{.name = "gc_freeze",
        .access = member<&WsgiConfig::gc_freeze>(),
        .doc = "Whether what the application has loaded is left out of later runs of the garbage collector "
               "(gc.freeze())."},
    Key{.name = "reload",
        .access = member<&WsgiConfig::reload>(),
        .doc = "For development: whether saving a `.py` file of a loaded module reloads the daemon, see "
               "[Python: development](python-development.md)."},
    Key{.name = "debug_errors",
        .access = member<&WsgiConfig::debug_errors>(),
        .doc = "For development: whether an exception in the application is answered with its traceback, to clients on "
               "this machine only, see [Python: development](python-development.md)."},
};

}  // namespace

constexpr Section kWsgiSection{
    .title = "wsgi",
    .doc = "App table: a Python application (WSGI). See [Python](python.md).",
    .keys = kWsgiKeys,
    .defaults = defaults_of<WsgiConfig>,
};

}  // namespace prong::config
