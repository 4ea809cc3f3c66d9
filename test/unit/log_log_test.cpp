// The process log into a file: whole lines, losses told once, and a new file after logrotate.
#include "log/log.hpp"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "config_folder.hpp"
#include "forked.hpp"

namespace prong::log {
namespace {

using config::test::Folder;
using test::run_forked;

Settings to_file(const std::string& path, Level level = Level::kInfo) {
  return {.target = Target::kFile, .path = path, .level = level, .color = Color::kAuto};
}

void use_file(const std::string& path, Level level = Level::kInfo) {
  auto output = prepare(to_file(path, level));
  REQUIRE(output.has_value());
  use(std::move(*output));
  set_subject({});
}

std::string content(const std::string& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

// Whether a text is a time like "2026-11-23 03:01:57.123 ", digit for digit.
bool is_time(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00 00:00:00.000 ";
  return std::ranges::equal(text, kForm,
                            [](char c, char form) { return form == '0' ? c >= '0' && c <= '9' : c == form; });
}

// The lines without their time.
std::vector<std::string> lines(const std::string& path) {
  constexpr std::size_t kTimeSize = 24;
  std::vector<std::string> found;
  std::ifstream file{path};
  for (std::string line; std::getline(file, line);)
    found.push_back(is_time(line.substr(0, kTimeSize)) ? line.substr(kTimeSize) : "(no time) " + line);
  return found;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a line has its time, level, subject and one fact") {
  const Folder folder;
  use_file(folder.path("a.log"), Level::kDebug);
  debug("number {}", 1);
  info("number {}", 2);
  warn(MessageCode::kBacklogCut, "number {}", 3);
  error(MessageCode::kCannotStart, "number {}", 4);
  write(Plain::kInfo, {.pool = "shop", .slot = 0, .generation = 1, .pid = 77}, "ready");
  CHECK(lines(folder.path("a.log")) == Lines{"debug master: number 1", "info  master: number 2",
                                             "warn  master: number 3 [PR0601]", "error master: number 4 [PR0101]",
                                             "info  shop/worker[0] gen=1 pid=77: ready"});
}

TEST_CASE("a subject that was set stands in every line of the process") {
  const Folder folder;
  use_file(folder.path("a.log"));
  set_subject({.pool = "files", .slot = 3, .generation = 2, .pid = 12});
  info("one");
  write(Plain::kInfo, {}, "two");
  set_subject({});
  CHECK(lines(folder.path("a.log")) == Lines{"info  files/worker[3] gen=2 pid=12: one", "info  master: two"});
  CHECK(Subject{.pool = "shop", .slot = 9, .generation = 8, .pid = 7}.text() == "shop/worker[9] gen=8 pid=7");
  CHECK(Subject{}.text() == "master");
}

TEST_CASE("lines below the level are not written, and their text is not even made") {
  const Folder folder;
  use_file(folder.path("a.log"), Level::kWarn);
  debug("no");
  info("no");
  warn(MessageCode::kBacklogCut, "yes");
  error(MessageCode::kCannotStart, "yes");
  CHECK(lines(folder.path("a.log")) == Lines{"warn  master: yes [PR0601]", "error master: yes [PR0101]"});
  CHECK_FALSE(enabled(Level::kDebug));
  CHECK_FALSE(enabled(Level::kInfo));
  CHECK(enabled(Level::kWarn));
  CHECK(enabled(Level::kError));
}

TEST_CASE("braces in a text that is not ours are no format") {
  const Folder folder;
  use_file(folder.path("a.log"));
  write(Plain::kInfo, "{} {0} {x}");
  write(Coded::kWarn, MessageCode::kBacklogCut, "{} {0} {x}");
  info("{}", "{}");
  CHECK(lines(folder.path("a.log")) ==
        Lines{"info  master: {} {0} {x}", "warn  master: {} {0} {x} [PR0601]", "info  master: {}"});
}

TEST_CASE("the code stands at the end of the line, and of the first one when there are several") {
  const Folder folder;
  use_file(folder.path("a.log"));
  write(Coded::kError, MessageCode::kWorkerCrashed, {.pool = "shop", .slot = 0, .generation = 1, .pid = 77}, "died");
  write(Coded::kWarn, MessageCode::kBacklogCut, "one\ntwo\nthree");
  CHECK_THAT(content(folder.path("a.log")), Catch::EndsWith("warn  master: one [PR0601]\ntwo\nthree\n") &&
                                                Catch::Contains("error shop/worker[0] gen=1 pid=77: died [PR0301]\n"));
}

TEST_CASE("lines of many processes never mix") {
  const Folder folder;
  use_file(folder.path("a.log"));
  constexpr std::size_t kEach = 300;
  const test::Told told = run_forked([](int) {
    const test::Told inner = run_forked([](int) {
      for (std::size_t i = 0; i < kEach; ++i) info("{}", std::string(2'000, 'a'));
      return std::string{};
    });
    for (std::size_t i = 0; i < kEach; ++i) info("{}", std::string(2'000, 'b'));
    return inner.report;
  });
  CHECK_FALSE(told.signalled);
  const Lines written = lines(folder.path("a.log"));
  CHECK(written.size() == 2 * kEach);
  CHECK(std::ranges::count(written, "info  master: " + std::string(2'000, 'a')) == std::ptrdiff_t{kEach});
  CHECK(std::ranges::count(written, "info  master: " + std::string(2'000, 'b')) == std::ptrdiff_t{kEach});
}

TEST_CASE("each line is one write") {
  // Packets keep the borders that a file hides.
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_DIRECT) == 0);
  const os::UniqueFd reader{ends[0]};
  const Folder folder;
  use_file(folder.path("a.log"));
  adopt_file(os::UniqueFd{ends[1]});
  info("first");
  info("{}", std::string(3'000, 'x'));
  std::array<char, 8192> buffer{};
  const auto packet = [&] {
    return std::string{buffer.data(), static_cast<std::size_t>(::read(reader.get(), buffer.data(), buffer.size()))};
  };
  CHECK_THAT(packet(), Catch::EndsWith("info  master: first\n"));
  const std::string second = packet();
  CHECK_THAT(second, Catch::EndsWith("x\n"));
  CHECK(second.size() > 3'000);
}

TEST_CASE("a full disk is told once on standard error, and the losses are counted when it works again") {
  const Folder folder;
  const test::Told told = run_forked([&](int report) -> std::string {
    (void)::dup2(report, STDERR_FILENO);
    auto output = prepare(to_file("/dev/full"));
    if (!output) return output.error().text();
    use(std::move(*output));
    for (int i = 0; i < 5; ++i) info("lost {}", i);
    adopt_file(os::UniqueFd{::open(folder.path("b.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)});
    info("again");
    info("and again");
    return {};
  });
  CHECK(told.report ==
        "prongd: cannot write the log to \"/dev/full\": No space left on device; lines are lost until it works "
        "again [PR0804]\n");
  const std::string text = content(folder.path("b.log"));
  CHECK_THAT(text, Catch::Contains("info  master: again\n"));
  CHECK_THAT(text, Catch::Contains(": 5 lines were lost) [PR0805]\n"));
  CHECK_THAT(text, Catch::EndsWith("info  master: and again\n"));
  CHECK(std::ranges::count(text, '\n') == 3);
}

TEST_CASE("a log that fails a second time is told a second time") {
  const Folder folder;
  const test::Told told = run_forked([&](int report) -> std::string {
    (void)::dup2(report, STDERR_FILENO);
    auto output = prepare(to_file("/dev/full"));
    use(std::move(*output));
    info("lost");
    adopt_file(os::UniqueFd{::open("/dev/null", O_WRONLY | O_CLOEXEC)});
    info("good");
    adopt_file(os::UniqueFd{::open("/dev/full", O_WRONLY | O_CLOEXEC)});
    info("lost");
    info("lost");
    return {};
  });
  CHECK(std::ranges::count(told.report, '\n') == 2);
}

TEST_CASE("after a rename, reopening goes on in a new file of the old name") {
  const Folder folder;
  use_file(folder.path("a.log"));
  info("before");
  REQUIRE(std::rename(folder.path("a.log").c_str(), folder.path("a.log.1").c_str()) == 0);
  info("between");
  REQUIRE(reopen().has_value());
  info("after");
  CHECK(lines(folder.path("a.log.1")) == Lines{"info  master: before", "info  master: between"});
  CHECK(lines(folder.path("a.log")) == Lines{"info  master: after"});
}

TEST_CASE("when reopening fails the old file goes on") {
  const Folder folder;
  (void)folder.write("sub/x", "");
  use_file(folder.path("sub/a.log"));
  REQUIRE(std::rename(folder.path("sub").c_str(), folder.path("moved").c_str()) == 0);
  const auto reopened = reopen();
  REQUIRE_FALSE(reopened.has_value());
  CHECK(reopened.error().message ==
        "cannot open the log file \"" + folder.path("sub/a.log") + "\": No such file or directory");
  info("still here");
  CHECK(lines(folder.path("moved/a.log")) == Lines{"info  master: still here"});
}

TEST_CASE("an existing file is continued, a new one is not for everybody") {
  const Folder folder;
  (void)folder.write("a.log", "old\n");
  use_file(folder.path("a.log"));
  info("new");
  CHECK_THAT(content(folder.path("a.log")), Catch::StartsWith("old\n"));
  use_file(folder.path("b.log"));
  struct stat status{};
  REQUIRE(::stat(folder.path("b.log").c_str(), &status) == 0);
  CHECK((status.st_mode & 0007U) == 0);
}

TEST_CASE("the descriptors of the log are what a worker must keep") {
  const Folder folder;
  use_file(folder.path("a.log"));
  const int fd = file_descriptor();
  CHECK(descriptors() == std::vector<int>{fd});
  CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((::fcntl(fd, F_GETFL) & O_APPEND) != 0);
  auto output = prepare({.target = Target::kStderr, .path = {}, .level = Level::kError, .color = Color::kNever});
  use(std::move(*output));
  CHECK(file_descriptor() == -1);
  CHECK(descriptors().empty());
  CHECK(reopen().has_value());
  adopt_file(os::UniqueFd{::open("/dev/null", O_WRONLY | O_CLOEXEC)});  // not asked for: closed
  CHECK(file_descriptor() == -1);
}

TEST_CASE("preparing a log changes nothing before it is used, and fails with the path") {
  const Folder folder;
  use_file(folder.path("a.log"));
  const auto other = prepare(to_file(folder.path("b.log")));
  REQUIRE(other.has_value());
  info("one");
  CHECK(lines(folder.path("a.log")).size() == 1);
  CHECK(content(folder.path("b.log")).empty());
  const auto bad = prepare(to_file("/there/is/no/folder/a.log"));
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error().message == "cannot open the log file \"/there/is/no/folder/a.log\": No such file or directory");
}

TEST_CASE("standard error is coloured only when that is wanted") {
  const auto written = [](Color color) {
    return run_forked([color](int report) -> std::string {
             (void)::dup2(report, STDERR_FILENO);
             auto output = prepare({.target = Target::kStderr, .path = {}, .level = Level::kInfo, .color = color});
             use(std::move(*output));
             error(MessageCode::kCannotStart, "x");
             return {};
           })
        .report;
  };
  CHECK_THAT(written(Color::kNever), Catch::EndsWith(" error master: x [PR0101]\n"));
  CHECK_THAT(written(Color::kAuto), Catch::EndsWith(" error master: x [PR0101]\n"));  // a pipe is no terminal
  CHECK_THAT(written(Color::kAlways), Catch::EndsWith(" \x1b[1;31merror\x1b[0m master: x [PR0101]\n"));
}

TEST_CASE("a standard error that nobody reads costs lines, not the daemon") {
  const test::Told told = run_forked([](int) -> std::string {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return "error";
    (void)::dup2(ends[1], STDERR_FILENO);
    auto output = prepare({.target = Target::kStderr, .path = {}, .level = Level::kInfo, .color = Color::kNever});
    use(std::move(*output));
    // Four times what a pipe holds (pipe(7): 64 KiB).
    for (int i = 0; i < 256; ++i) info("{}", std::string(1'000, 'x'));
    return "went on";
  });
  CHECK(told.report == "went on");
}

TEST_CASE("without a log nothing is written and nothing breaks") {
  const test::Told told = run_forked([](int) -> std::string {
    use(nullptr);
    info("nowhere");
    adopt_file({});
    return enabled(Level::kError) || file_descriptor() != -1 || !descriptors().empty() || !reopen() ? "bad" : "good";
  });
  CHECK(told.report == "good");
}

}  // namespace prong::log
