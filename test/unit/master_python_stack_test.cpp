// What an interpreter says when it dies, as faulthandler of CPython 3.9 to 3.14 writes it.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "master/python_stack.hpp"

namespace prong::master {
namespace {

constexpr const char* kCrash =
    "Fatal Python error: Segmentation fault\n"
    "\n"
    "Thread 0x00007f6969dff6c0 (most recent call first):\n"
    "  File \"/usr/lib/python3.11/threading.py\", line 975 in run\n"
    "\n"
    "Current thread 0x00007f696a0f3040 (most recent call first):\n"
    "  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 519 in string_at\n"
    "  File \"/srv/shop/a \\xe9 in b.py\", line 3 in crash_here\n"
    "  File \"/srv/shop/wsgi.py\", line 5 in application\n"
    "  File \"/srv/shop/wsgi.py\", line 6 in <module>\n"
    "\n"
    "Extension modules: markupsafe._speedups (total: 1)\n";

}  // namespace

TEST_CASE("the innermost Python code of the thread that died is named from the inside to the outside") {
  const PythonStack stack = parse_python_stack(kCrash);
  CHECK(stack.innermost ==
        "string_at (/usr/lib/python3.11/ctypes/__init__.py:519), called by crash_here (/srv/shop/a \\\\xe9 in b.py:3), "
        "application (/srv/shop/wsgi.py:5)");
}

TEST_CASE("the log has the cause first, then the thread that died, then the others") {
  const PythonStack stack = parse_python_stack(kCrash);
  REQUIRE(stack.lines.size() == 9);
  CHECK(stack.lines[0] == "Fatal Python error: Segmentation fault");
  CHECK(stack.lines[1] == "Extension modules: markupsafe._speedups (total: 1)");
  CHECK(stack.lines[2] == "Current thread 0x00007f696a0f3040 (most recent call first):");
  CHECK(stack.lines[6] == "  File \"/srv/shop/wsgi.py\", line 6 in <module>");
  CHECK(stack.lines[7] == "Thread 0x00007f6969dff6c0 (most recent call first):");
}

TEST_CASE("a thread that has a name is found") {
  const PythonStack stack = parse_python_stack(
      "Fatal Python error: Aborted\n\nCurrent thread 0x00007f696a0f3040 [shop:0] (most recent call first):\n"
      "  File \"a.py\", line 1 in f\n");
  CHECK(stack.innermost == "f (a.py:1)");
}

TEST_CASE("no Python code is named where none ran in the thread that died") {
  CHECK(parse_python_stack("").lines.empty());
  CHECK(parse_python_stack("").innermost.empty());
  CHECK(parse_python_stack("Fatal Python error: Aborted\n\nThread 0x01 (most recent call first):\n"
                           "  File \"a.py\", line 1 in f\n")
            .innermost.empty());
  CHECK(parse_python_stack("Current thread 0x01 (most recent call first):\n  <no Python frame>\n").innermost.empty());
}

TEST_CASE("what a broken interpreter writes cannot forge a line, a terminal's sequence, or a flood") {
  const PythonStack hostile = parse_python_stack(
      "Current thread \x1b[2J:\n  File \"\r\x1b[31m.py\", line \x07 in \xff\n  File \"\", line  in \n  File \"x\n"
      "  File \"no line\"\n");
  CHECK(hostile.innermost == "\\xff (\\r\\x1b[31m.py:\\x07), called by  (:)");
  for (const std::string& line : hostile.lines)
    CHECK(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; }));

  std::string flood = "Current thread 0x01 (most recent call first):\n";
  for (int i = 0; i < 5'000; ++i) flood += fmt::format("  File \"{}\", line {} in f\n", std::string(3'000, 'a'), i);
  const PythonStack cut = parse_python_stack(flood);
  REQUIRE(cut.lines.size() == PythonStack::kMostLines + 1);
  CHECK(cut.lines.back().ends_with("lines more"));
  CHECK(std::ranges::all_of(cut.lines, [](const std::string& line) { return line.size() < 1'200; }));
  CHECK(cut.innermost.size() < 2'000);
}

}  // namespace prong::master
