// Which Python interpreter a pool's workers become, and how it is started: pure but for looking at files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/program.hpp"
#include "base/error.hpp"

namespace prong::app {

struct InterpreterSettings {
  std::string python = {};  // an interpreter's path; empty: by the following
  std::string venv = {};    // a virtual environment; empty: by the following
  std::vector<Variable> env = {};
  std::optional<os::User> user = {};  // whom HOME, USER, LOGNAME and SHELL are about
};

struct Interpreter {
  std::string path;  // as it is to be executed: the link in a virtual environment must not be resolved
  std::string venv;  // whose packages it sees; empty: none that we know of
};

// In this order: `python`; the interpreter of `venv`; of the active environment, as `environment` says (VIRTUAL_ENV);
// of `.venv` or `venv` in the working directory; the python3 of PATH. The error names where it was looked for.
[[nodiscard]] Result<Interpreter> find_interpreter(const InterpreterSettings& settings, const char* const* environment);

// What it is executed with: everything in `environment`, what activating a virtual environment sets (venv's
// documentation, "How venvs work"), and the pool's own variables.
[[nodiscard]] ProgramSettings program_of(const InterpreterSettings& settings, const Interpreter& interpreter,
                                         const char* const* environment);

// The folder with the Python side of a worker: prong_worker.abi3.so and the modules beside it. `executable` is the
// running prongd: in a build folder they lie beside it, else where they were installed.
[[nodiscard]] std::string module_folder(std::string_view executable);

}  // namespace prong::app
