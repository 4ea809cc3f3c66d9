#include "app/interpreter.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "os/execute.hpp"

#ifndef PRONG_PYTHON_FOLDER
#error "meson.build says where the Python side of a worker is installed"
#endif

namespace prong::app {
namespace {

std::string value_of(const char* const* environment, std::string_view name) {
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry{*environment};
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name))
      return std::string{entry.substr(name.size() + 1)};
  }
  return {};
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Interpreter in_venv(const std::string& venv) {
  return {.path = venv + "/bin/python", .venv = venv};
}

}  // namespace

Result<Interpreter> find_interpreter(const InterpreterSettings& settings, const char* const* environment) {
  if (!settings.python.empty()) return Interpreter{.path = settings.python, .venv = {}};
  if (!settings.venv.empty()) {
    if (!is_there(settings.venv + "/pyvenv.cfg"))
      return failure(fmt::format("\"{}\" is no virtual environment: it has no pyvenv.cfg", settings.venv),
                     "make one with: python3 -m venv DIRECTORY");
    return in_venv(settings.venv);
  }
  if (const std::string active = value_of(environment, "VIRTUAL_ENV"); !active.empty()) return in_venv(active);
  const std::string directory = os::working_directory();
  for (const char* const name : {".venv", "venv"}) {
    const std::string venv = fmt::format("{}/{}", directory, name);
    if (is_there(venv + "/pyvenv.cfg")) return in_venv(venv);
  }
  const std::string path = value_of(environment, "PATH");
  auto found = find_program("python3", path.empty() ? kDefaultPath : std::string_view{path});
  if (!found) return failure("cannot find a Python interpreter", std::move(found.error()));
  return Interpreter{.path = *std::move(found), .venv = {}};
}

ProgramSettings program_of(const InterpreterSettings& settings, const Interpreter& interpreter,
                           const char* const* environment) {
  ProgramSettings program{.command = {interpreter.path}, .env = {}, .pass_env = {}, .user = settings.user};
  for (const char* const* entry = environment; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view{*entry}.substr(0, std::string_view{*entry}.find('='));
    // It would lead the environment's interpreter to another one's library.
    if (!interpreter.venv.empty() && name == "PYTHONHOME") continue;
    program.pass_env.emplace_back(name);
  }
  if (!interpreter.venv.empty()) {
    const std::string path = value_of(environment, "PATH");
    program.env.emplace_back("VIRTUAL_ENV", interpreter.venv);
    program.env.emplace_back(
        "PATH", fmt::format("{}/bin:{}", interpreter.venv, path.empty() ? kDefaultPath : std::string_view{path}));
  }
  program.env.insert(program.env.end(), settings.env.begin(), settings.env.end());
  return program;
}

std::string module_folder(std::string_view executable) {
  const std::size_t slash = executable.rfind('/');
  if (slash != std::string_view::npos) {
    std::string beside = fmt::format("{}/python", executable.substr(0, slash));
    if (is_there(beside + "/prong_worker.abi3.so")) return beside;
  }
  return PRONG_PYTHON_FOLDER;
}

}  // namespace prong::app
