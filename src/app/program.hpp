// A program of an exec pool, made ready to be executed: found, checked, its arguments and its environment laid out.
//
// Everything that can be done before a connection comes is done in prepare(); afterwards add() and become() make no
// system call but execve(2) itself, because a client waits by then.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "os/users.hpp"

namespace prong::app {

using Variable = std::pair<std::string, std::string>;

struct ProgramSettings {
  std::vector<std::string> command = {};  // its name or path, then its arguments; not empty
  std::vector<Variable> env = {};
  std::vector<std::string> pass_env = {};  // names
  std::optional<os::User> user = {};       // whom HOME, USER, LOGNAME and SHELL are about
};

// What a program gets when nobody says a PATH: where Debian's login(1) and systemd look (login.defs(5),
// systemd.exec(5)).
inline constexpr std::string_view kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// The variables by which the program is started: those of pass_env that `master` has, then the user's, then env; a
// later one replaces an earlier one. There is always a PATH. `master` is an environment as environ(7) has it. Pure.
[[nodiscard]] std::vector<Variable> environment_of(const ProgramSettings& settings, const char* const* master);

// The file that the name means, as execvp(3) looks for it: a name with a slash is a path, another one is looked for in
// the directories of `path`, of which an empty one is the working directory. The error carries the errno.
[[nodiscard]] Result<std::string> find_program(std::string_view name, std::string_view path);

// Whether this process could execute the file: permissions, the interpreter of a #! line with its own permissions, and
// that it is of a kind that can be executed at all. The error names both files and carries the errno.
[[nodiscard]] Result<void> check_program(const std::string& path);

// The interpreter that the first bytes of a script name; empty when they are not those of a script. Pure.
[[nodiscard]] std::string_view interpreter_of(std::string_view head);

class Program {
 public:
  // Runs as the user and in the directory of the program. `room`: how many variables will be added. Blocks on files.
  [[nodiscard]] static Result<Program> prepare(const ProgramSettings& settings, const char* const* master,
                                               std::size_t room);

  // A variable of one connection; it replaces one of the same name.
  void add(std::string_view name, std::string_view value);
  // Returns only when it failed.
  [[nodiscard]] Error become();
  // Becomes the file behind a descriptor instead, which shall start the program itself. Its arguments are those given,
  // the program's path and the program's arguments; its environment is the program's. Returns only when it failed.
  [[nodiscard]] Error become_by(int file, std::vector<std::string> arguments);

  [[nodiscard]] const std::string& path() const { return path_; }
  // "NAME=VALUE"
  [[nodiscard]] const std::vector<std::string>& environment() const { return environment_; }

 private:
  Program() = default;

  std::string path_;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
};

}  // namespace prong::app
