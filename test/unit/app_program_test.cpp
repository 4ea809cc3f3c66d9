// A program made ready: found, checked, with its environment.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "app/program.hpp"
#include "forked.hpp"
#include "os/execute.hpp"

namespace prong::app {
namespace {

using Texts = std::vector<std::string>;

Texts texts_of(const std::vector<Variable>& variables) {
  Texts texts;
  texts.reserve(variables.size());
  for (const auto& [name, value] : variables) texts.push_back(std::string{name}.append("=").append(value));
  return texts;
}

// A folder of programs for one test, gone at its end.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "prong-program-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;  // what is left in /tmp disturbs no other test
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string write(const std::string& name, std::string_view content, mode_t mode = 0755) const {
    std::ofstream{path(name), std::ios::binary} << content;
    if (::chmod(path(name).c_str(), mode) != 0) throw std::runtime_error("chmod");
    return path(name);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

constexpr std::array<const char*, 5> kMaster{"PATH=/bin", "LANG=C", "SECRET=x", "EMPTY=", nullptr};
constexpr std::array<const char*, 1> kNothing{nullptr};

std::string error_of(const Result<void>& result) {
  return result ? "" : result.error().message;
}

}  // namespace

TEST_CASE("a program sees of the master's environment what pass_env names, and no more") {
  CHECK(texts_of(environment_of({.command = {"a"}, .pass_env = {"PATH", "TZ", "EMPTY", "SECRE"}}, kMaster.data())) ==
        Texts{"PATH=/bin", "EMPTY="});
  CHECK(texts_of(environment_of({.command = {"a"}, .pass_env = {}}, kMaster.data())) ==
        Texts{"PATH=" + std::string{kDefaultPath}});
}

TEST_CASE("the pool's user comes after the master's environment, and env has the last word") {
  const ProgramSettings settings{
      .command = {"a"},
      .env = {{"HOME", "/srv"}, {"A", "1"}},
      .pass_env = {"PATH", "LANG"},
      .user = os::User{.uid = 7, .gid = 7, .home = "/home/shop", .shell = "/bin/sh", .name = "shop"}};
  constexpr std::array<const char*, 3> kMasterWithUser{"LANG=C", "USER=root", nullptr};
  CHECK(texts_of(environment_of(settings, kMasterWithUser.data())) == Texts{"LANG=C", "HOME=/srv", "USER=shop",
                                                                            "LOGNAME=shop", "SHELL=/bin/sh", "A=1",
                                                                            "PATH=" + std::string{kDefaultPath}});
}

TEST_CASE("a name is looked for in PATH, and a path is taken as it is") {
  const Folder folder;
  (void)folder.write("plain", "", 0644);
  (void)folder.write("tool", "#!/bin/sh\n");
  std::filesystem::create_directory(folder.path("sub"));
  CHECK(find_program("tool", "/nowhere:" + folder.path() + ":/bin").value() == folder.path("tool"));
  CHECK(find_program("./x/tool", "/bin").value() == "./x/tool");
  const auto missing = find_program("tool-that-is-not-there", "/nowhere:/bin");
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().error_number == ENOENT);
  CHECK(missing.error().text() ==
        "cannot execute \"tool-that-is-not-there\": No such file or directory; it was looked for in "
        "PATH=/nowhere:/bin");
  CHECK(find_program("sub", folder.path()).error().error_number == EACCES);
  // Whoever may execute everything that anybody may: a file that nobody may execute is none either.
  CHECK(find_program("plain", folder.path()).error().error_number == EACCES);
  CHECK(find_program("sh", folder.path() + ":/bin").value() == "/bin/sh");
}

TEST_CASE("an empty entry of PATH is the working directory") {
  const Folder folder;
  (void)folder.write("tool", "#!/bin/sh\n");
  const auto told = test::run_forked([&](int) -> std::string {
    if (auto entered = os::change_directory(folder.path()); !entered) return entered.error().text();
    return find_program("tool", "/nowhere:").value_or("not found") + " " +
           find_program("tool", ":/nowhere").value_or("not found");
  });
  CHECK(told.report == "./tool ./tool");
}

TEST_CASE("the interpreter of a script is what stands between #! and the next blank") {
  CHECK(interpreter_of("#!/bin/sh\n") == "/bin/sh");
  CHECK(interpreter_of("#! \t/usr/bin/env python3 -u\nrest /x") == "/usr/bin/env");
  CHECK(interpreter_of("#!/bin/sh") == "/bin/sh");
  CHECK(interpreter_of(std::string_view{"#!/bin/sh\0\0", 11}) == "/bin/sh");
  for (const char* head : {"", "#", "#!", "#!\n/bin/sh", "#! \t \n/bin/sh", " #!/bin/sh", "\177ELF#!/bin/sh"})
    CHECK(interpreter_of(head).empty());
}

TEST_CASE("what cannot be executed is told with the file, the reason, and the interpreter if it is to blame") {
  const Folder folder;
  CHECK(error_of(check_program("/bin/sh")).empty());
  CHECK(error_of(check_program(folder.write("script", "#!/bin/sh\n"))).empty());
  CHECK(error_of(check_program(folder.write("nested", "#!" + folder.path("script") + "\n"))).empty());
  const auto cannot = [&](const std::string& name, const std::string& why) {
    return "cannot execute \"" + folder.path(name) + "\": " + why;
  };
  CHECK(error_of(check_program(folder.path("gone"))) == cannot("gone", "No such file or directory"));
  CHECK(error_of(check_program(folder.write("plain", "#!/bin/sh\n", 0644))) == cannot("plain", "Permission denied"));
  CHECK(error_of(check_program(folder.path())) == "cannot execute \"" + folder.path() + "\": Permission denied");
  CHECK(error_of(check_program(folder.write("orphan", "#!/opt/none/python3\n"))) ==
        cannot("orphan", "its interpreter \"/opt/none/python3\": No such file or directory"));
  CHECK(error_of(check_program(folder.write("loop", "#!" + folder.path("loop") + "\n"))) ==
        cannot("loop", "Too many levels of symbolic links"));
  if (!os::runs_other_formats()) {
    CHECK(error_of(check_program(folder.write("text", "echo hello\n"))) == cannot("text", "Exec format error"));
    CHECK(error_of(check_program(folder.write("empty", ""))) == cannot("empty", "Exec format error"));
  }
}

TEST_CASE("a program has the arguments and the environment that were prepared, and what a connection added") {
  const auto run = [](const ProgramSettings& settings, const std::vector<Variable>& added) {
    return test::run_forked([&](int report) -> std::string {
      auto program = Program::prepare(settings, kMaster.data(), 2);
      if (!program) return program.error().text();
      for (const auto& [name, value] : added) program->add(name, value);
      if (auto placed = os::place_descriptor(report, STDOUT_FILENO); !placed) return placed.error().text();
      return program->become().text();
    });
  };
  CHECK(run({.command = {"sh", "-c", "echo \"$0|$1|$2\"", "zero", "", "a  b\n"}, .pass_env = {"PATH"}}, {}).report ==
        "zero||a  b\n\n");
  CHECK(run({.command = {"/usr/bin/env"}, .env = {{"A", "1"}, {"PROTO", "old"}}, .pass_env = {"PATH"}},
            {{"PROTO", "TCP"}, {"TCPREMOTEIP", "::1"}})
            .report == "PATH=/bin\nA=1\nPROTO=TCP\nTCPREMOTEIP=::1\n");
}

TEST_CASE("a program that cannot be executed is an error of the preparation") {
  const auto program = Program::prepare({.command = {"/nowhere/program"}}, kNothing.data(), 0);
  REQUIRE_FALSE(program.has_value());
  CHECK(program.error().error_number == ENOENT);
}

}  // namespace prong::app
