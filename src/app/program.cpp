#include "app/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "os/execute.hpp"
#include "os/unique_fd.hpp"

namespace prong::app {
namespace {

// What the kernel reads of a file to see what it is, so that a longer #! line is cut (BINPRM_BUF_SIZE of
// linux/binfmts.h).
constexpr std::size_t kHeadSize = 256;
// An interpreter may be a script itself; the kernel follows this many (execve(2), "Interpreter scripts").
constexpr int kMostInterpreters = 4;

void replace(std::vector<Variable>& variables, std::string_view name, std::string_view value) {
  const auto found = std::ranges::find(variables, name, &Variable::first);
  if (found != variables.end())
    found->second = value;
  else
    variables.emplace_back(name, value);
}

// The value of a variable of an environment as environ(7) has it.
std::optional<std::string_view> value_in(const char* const* environment, std::string_view name) {
  for (; *environment != nullptr; ++environment) {
    const std::string_view entry{*environment};
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name))
      return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

// The first bytes of a file; nothing when it cannot be read, which need not hinder an execution.
std::optional<std::string> head_of(const std::string& path) {
  const os::UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)};
  if (!file.valid()) return std::nullopt;
  std::string head(kHeadSize, '\0');
  const ssize_t size = ::read(file.get(), head.data(), head.size());
  if (size < 0) return std::nullopt;
  head.resize(static_cast<std::size_t>(size));
  return head;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

Error cannot_execute(std::string_view path, int error, std::string_view hint = {}) {
  return system_error(fmt::format("cannot execute \"{}\"", path), error, hint);
}

}  // namespace

std::vector<Variable> environment_of(const ProgramSettings& settings, const char* const* master) {
  std::vector<Variable> variables;
  for (const std::string& name : settings.pass_env)
    if (const auto value = value_in(master, name)) replace(variables, name, *value);
  if (settings.user) {
    replace(variables, "HOME", settings.user->home);
    replace(variables, "USER", settings.user->name);
    replace(variables, "LOGNAME", settings.user->name);
    replace(variables, "SHELL", settings.user->shell);
  }
  for (const auto& [name, value] : settings.env) replace(variables, name, value);
  if (std::ranges::find(variables, "PATH", &Variable::first) == variables.end())
    variables.emplace_back("PATH", kDefaultPath);
  return variables;
}

Result<std::string> find_program(std::string_view name, std::string_view path) {
  if (name.contains('/')) return std::string{name};
  int error = ENOENT;
  for (std::string_view rest = path;;) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    const std::string_view directory = rest.substr(0, colon);
    std::string candidate = directory.empty() ? std::string{"./"} : fmt::format("{}/", directory);
    candidate += name;
    const auto executable = os::check_executable(candidate);
    if (executable) return candidate;
    // A file that may not be executed is told, if no other one is found: execvp(3).
    if (executable.error() == EACCES) error = EACCES;
    if (colon == rest.size()) break;
    rest.remove_prefix(colon + 1);
  }
  return failure(cannot_execute(name, error, fmt::format("it was looked for in PATH={}", path)));
}

std::string_view interpreter_of(std::string_view head) {
  if (!head.starts_with("#!")) return {};
  head = head.substr(0, head.find('\n'));
  head.remove_prefix(2);
  constexpr std::string_view kBlank{" \t\0", 3};
  head.remove_prefix(std::min(head.find_first_not_of(kBlank), head.size()));
  return head.substr(0, head.find_first_of(kBlank));
}

Result<void> check_program(const std::string& path) {
  std::string file = path;
  for (int level = 0; level <= kMostInterpreters; ++level) {
    const bool is_interpreter = level > 0;
    if (const auto executable = os::check_executable(file); !executable) {
      Error error = cannot_execute(path, executable.error());
      if (is_interpreter)
        error.message =
            fmt::format(R"(cannot execute "{}": its interpreter "{}": {})", path, file, errno_text(executable.error()));
      return failure(std::move(error));
    }
    const auto head = head_of(file);
    if (!head) return {};
    const std::string_view interpreter = interpreter_of(*head);
    if (interpreter.empty()) {
      constexpr std::string_view kElf =
          "\x7f"
          "ELF";
      if (head->starts_with(kElf) || os::runs_other_formats()) return {};
      return failure(cannot_execute(path, ENOEXEC, "a script begins with a line such as #!/bin/sh"));
    }
    file = interpreter;
  }
  return failure(cannot_execute(path, ELOOP));
}

Result<Program> Program::prepare(const ProgramSettings& settings, const char* const* master, std::size_t room) {
  Program program;
  const std::vector<Variable> variables = environment_of(settings, master);
  auto path = find_program(settings.command.front(), std::ranges::find(variables, "PATH", &Variable::first)->second);
  if (!path) return failure(std::move(path.error()));
  if (auto good = check_program(*path); !good) return failure(std::move(good.error()));
  program.path_ = *std::move(path);
  program.arguments_ = settings.command;
  program.environment_.reserve(variables.size() + room);
  for (const auto& [name, value] : variables) program.environment_.push_back(fmt::format("{}={}", name, value));
  return program;
}

void Program::add(std::string_view name, std::string_view value) {
  std::string entry;
  entry.reserve(name.size() + 1 + value.size());
  entry.append(name).append(1, '=').append(value);
  const auto is_same = [&](const std::string& other) {
    return other.size() > name.size() && other[name.size()] == '=' && other.starts_with(name);
  };
  const auto found = std::ranges::find_if(environment_, is_same);
  if (found != environment_.end())
    *found = std::move(entry);
  else
    environment_.push_back(std::move(entry));
}

Error Program::become() {
  const std::vector<char*> arguments = pointers_to(arguments_);
  const std::vector<char*> environment = pointers_to(environment_);
  return cannot_execute(path_, os::become_program(path_.c_str(), arguments.data(), environment.data()));
}

Error Program::become_by(int file, std::vector<std::string> arguments) {
  arguments.push_back(path_);
  arguments.insert(arguments.end(), arguments_.begin(), arguments_.end());
  const std::vector<char*> pointers = pointers_to(arguments);
  const std::vector<char*> environment = pointers_to(environment_);
  const int error = os::become_open_program(file, pointers.data(), environment.data());
  return cannot_execute("prongd-launch", error);
}

}  // namespace prong::app
