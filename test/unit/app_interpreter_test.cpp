// Which interpreter a pool's workers become, and with what environment.
#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "app/interpreter.hpp"

namespace prong::app {
namespace {

namespace fs = std::filesystem;

// A folder that is the working directory while it lives.
class Project {
 public:
  Project() : before_(fs::current_path()) {
    std::string name = (fs::temp_directory_path() / "prongd-python-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    folder_ = fs::canonical(name);
    fs::current_path(folder_);
  }
  Project(const Project&) = delete;
  Project& operator=(const Project&) = delete;
  Project(Project&&) = delete;
  Project& operator=(Project&&) = delete;
  ~Project() {
    fs::current_path(before_);
    fs::remove_all(folder_);
  }
  [[nodiscard]] std::string make_venv(const std::string& name) const {
    fs::create_directories(folder_ / name / "bin");
    std::ofstream{folder_ / name / "pyvenv.cfg"} << "home = /usr/bin\n";
    return (folder_ / name).string();
  }
  [[nodiscard]] std::string make_program(const std::string& name) const {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream{path} << "#!/bin/sh\n";
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
    return path.string();
  }
  [[nodiscard]] std::string path() const { return folder_.string(); }

 private:
  fs::path before_;
  fs::path folder_;
};

std::string value_in(const ProgramSettings& program, const std::string& name) {
  for (const auto& [key, value] : program.env)
    if (key == name) return value;
  return "not there";
}

}  // namespace

TEST_CASE("the interpreter is the one that is named most directly") {
  const Project project;
  const std::string python3 = project.make_program("path/python3");
  const std::string path = "PATH=" + project.path() + "/path";
  const std::string active = "VIRTUAL_ENV=" + project.path() + "/active";
  const std::array<const char*, 2> plain{path.c_str(), nullptr};
  const std::array<const char*, 3> activated{path.c_str(), active.c_str(), nullptr};

  CHECK(find_interpreter({}, plain.data())->path == python3);
  CHECK(find_interpreter({}, plain.data())->venv.empty());
  (void)project.make_venv("venv");
  CHECK(find_interpreter({}, plain.data())->path == project.path() + "/venv/bin/python");
  (void)project.make_venv(".venv");
  CHECK(find_interpreter({}, plain.data())->venv == project.path() + "/.venv");
  CHECK(find_interpreter({}, activated.data())->path == project.path() + "/active/bin/python");
  const std::string given = project.make_venv("given");
  CHECK(find_interpreter({.venv = given}, activated.data())->path == given + "/bin/python");
  CHECK(find_interpreter({.python = "/opt/python"}, activated.data())->path == "/opt/python");
}

TEST_CASE("a folder that is no virtual environment, and a PATH without Python, are told") {
  const Project project;
  const auto no_venv = find_interpreter({.venv = project.path()}, std::array<const char*, 1>{nullptr}.data());
  REQUIRE_FALSE(no_venv.has_value());
  CHECK(no_venv.error().message.find("is no virtual environment") != std::string::npos);
  const std::string path = "PATH=" + project.path();
  const auto no_python = find_interpreter({}, std::array<const char*, 2>{path.c_str(), nullptr}.data());
  REQUIRE_FALSE(no_python.has_value());
  CHECK(no_python.error().message.find("cannot find a Python interpreter") != std::string::npos);
}

TEST_CASE("the environment is ours, with what activating sets, and the pool's own last") {
  const std::array<const char*, 4> ours{"PATH=/bin", "PYTHONHOME=/opt", "A=1", nullptr};
  const ProgramSettings in_venv =
      program_of({.env = {{"A", "2"}}}, {.path = "/v/bin/python", .venv = "/v"}, ours.data());
  CHECK(in_venv.command == std::vector<std::string>{"/v/bin/python"});
  CHECK(value_in(in_venv, "VIRTUAL_ENV") == "/v");
  CHECK(value_in(in_venv, "PATH") == "/v/bin:/bin");
  CHECK(in_venv.env.back() == Variable{"A", "2"});
  CHECK(std::ranges::find(in_venv.pass_env, "PYTHONHOME") == in_venv.pass_env.end());
  const ProgramSettings plain = program_of({}, {.path = "/usr/bin/python3", .venv = ""}, ours.data());
  CHECK(plain.pass_env == std::vector<std::string>{"PATH", "PYTHONHOME", "A"});
  CHECK(plain.env.empty());
}

TEST_CASE("the module is looked for beside the program, and else where it is installed") {
  const Project project;
  const std::string program = project.path() + "/prongd";
  const std::string installed = module_folder(program);
  CHECK(installed != project.path() + "/python");
  (void)project.make_program("python/prong_worker.abi3.so");
  CHECK(module_folder(program) == project.path() + "/python");
}

}  // namespace prong::app
