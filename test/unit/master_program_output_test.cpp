// What programs write to standard error and to their notify socket: cut into lines, bounded, and never waited for.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "master/program_notice.hpp"
#include "master/program_output.hpp"
#include "os/clock.hpp"
#include "walk.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;
using State = ProgramOutput::State;

constexpr os::TimePoint kBegin{std::chrono::hours{1}};

struct Program {
  os::UniqueFd writer;
  ProgramOutput output;
};

Program make_program() {
  auto pipe = os::make_pipe().value();
  return {.writer = std::move(pipe.writer), .output = ProgramOutput{std::move(pipe.reader)}};
}

void write_all(const os::UniqueFd& fd, std::string_view text) {
  REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

// As a program that writes whenever it can.
std::size_t fill(const os::UniqueFd& fd, const std::string& piece) {
  REQUIRE(::fcntl(fd.get(), F_SETFL, O_NONBLOCK) == 0);
  std::size_t written = 0;
  for (ssize_t count = 0; (count = ::write(fd.get(), piece.data(), piece.size())) > 0;)
    written += static_cast<std::size_t>(count);
  return written;
}

}  // namespace

TEST_CASE("a stream is cut into lines, however it comes in pieces") {
  const std::string text = "one\ntwo words\n\n\nthree\r\nlast";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    LineCutter cutter;
    Texts lines;
    for (std::size_t at = 0; at < text.size(); at += size)
      for (std::string& line : cutter.feed(std::string_view{text}.substr(at, size))) lines.push_back(std::move(line));
    CHECK(lines == Texts{"one", "two words", "three"});
    CHECK(cutter.finish() == "last");
    CHECK_FALSE(cutter.finish().has_value());
  }
}

TEST_CASE("a line without end takes no more memory than the longest, and is told as cut once") {
  LineCutter cutter;
  for (int i = 0; i < 1'000; ++i) CHECK(cutter.feed(std::string(1'000, 'x')).empty());
  const Texts lines = cutter.feed("\nnext\n");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == std::string(LineCutter::kLongestLine, 'x') + "...");
  CHECK(lines[1] == "next");
}

TEST_CASE("a line of exactly the longest size is not told as cut") {
  LineCutter cutter;
  CHECK(cutter.feed(std::string(LineCutter::kLongestLine, 'x') + "\n") ==
        Texts{std::string(LineCutter::kLongestLine, 'x')});
}

TEST_CASE("lines of a program come as it writes them, and the last one at its end") {
  Program program = make_program();
  write_all(program.writer, "hello\nwor");
  CHECK(program.output.read(kBegin).lines == Texts{"hello"});
  CHECK(program.output.read(kBegin).lines.empty());  // nothing waits: no harm
  write_all(program.writer, "ld");
  CHECK(program.output.read(kBegin).lines.empty());
  program.writer.reset();
  const auto last = program.output.read(kBegin);
  CHECK(last.lines == Texts{"world"});
  CHECK(last.state == State::kEnded);
}

TEST_CASE("a flood is read up to the share of an interval, then no more until the next") {
  Program program = make_program();
  const std::string piece(1'023, 'x');
  std::size_t read = 0;
  State state = State::kOpen;
  for (int i = 0; i < 100 && state == State::kOpen; ++i) {
    (void)fill(program.writer, piece + "\n");
    const auto result = program.output.read(kBegin + 1ms);
    for (const std::string& line : result.lines) read += line.size() + 1;
    state = result.state;
  }
  CHECK(state == State::kPaused);
  CHECK(read <= ProgramOutput::kMostBytes + 16'384);
  CHECK(program.output.resume_at() == kBegin + 1ms + 50ms);
  CHECK(program.output.read(program.output.resume_at()).state == State::kOpen);
}

TEST_CASE("many short lines use up the share as well") {
  Program program = make_program();
  std::size_t lines = 0;
  State state = State::kOpen;
  for (int i = 0; i < 100 && state == State::kOpen; ++i) {
    (void)fill(program.writer, "x\n");
    const auto result = program.output.read(kBegin);
    lines += result.lines.size();
    state = result.state;
  }
  CHECK(state == State::kPaused);
  CHECK(lines <= 16'384 / 2);
}

TEST_CASE("after the death what is left is read, although somebody else still holds the pipe") {
  Program program = make_program();
  write_all(program.writer, "last words\nand half a li");
  CHECK(program.output.finish() == Texts{"last words", "and half a li"});
}

TEST_CASE("after the death no more is read than a share, although somebody else goes on writing") {
  Program program = make_program();
  // The largest pipe that an unprivileged program can make (pipe(7)).
  REQUIRE(::fcntl(program.writer.get(), F_SETPIPE_SZ, 1 << 20) > 0);
  CHECK(fill(program.writer, std::string(1'023, 'x') + "\n") > 500'000);
  std::size_t read = 0;
  for (const std::string& line : program.output.finish()) read += line.size() + 1;
  CHECK(read >= ProgramOutput::kMostBytes);
  CHECK(read <= ProgramOutput::kMostBytes + 16'384);
}

TEST_CASE("a program says that it is ready, and its status, and other fields mean nothing") {
  CHECK(parse_notice("READY=1").ready);
  CHECK(parse_notice("STATUS=warming up\nREADY=1\n").ready);
  CHECK(parse_notice("STATUS=warming up\nREADY=1\n").status == "warming up");
  CHECK(parse_notice("MAINPID=7\nSTATUS=a=b").status == "a=b");
  for (const char* text : {"", "\n\n", "READY=0", "READY=10", "xREADY=1", "READY=1 ", "ready=1", "MAINPID=1"})
    CHECK_FALSE(parse_notice(text).ready);
  CHECK_FALSE(parse_notice("READY=1").status.has_value());
}

TEST_CASE("a status cannot forge a line and is cut") {
  CHECK(parse_notice("STATUS=a\rb\x1b[0m").status == "a\\rb\\x1b[0m");
  CHECK(parse_notice("STATUS=" + std::string(4'000, 'x')).status->size() < 300);
}

TEST_CASE("whatever a program says, reading it does no harm") {
  auto random = test::chance(20'261'123);
  for (int i = 0; i < 5'000; ++i) {
    std::string text(random() % 40, '\0');
    for (char& c : text) c = "READY=1STATUS=\n\0x"[random() % 17];
    const ProgramNotice notice = parse_notice(text);
    if (notice.ready && text.find("READY=1") == std::string::npos) FAIL("ready without having said so");
  }
}

}  // namespace prong::master
