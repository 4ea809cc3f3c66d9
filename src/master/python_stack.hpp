// What an interpreter has written about the Python code that it was running when it died, for the obituary and the log.
//
// It is CPython's faulthandler that writes it, from a signal handler, to a file that the master made and reads after
// the death (os/bounded_file.hpp): a pipe would lose what nobody had read. The text comes from a process that just
// broke, so nothing in it is believed: it is bounded, escaped, and what does not look as expected is left out. Pure
// text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace prong::master {

struct PythonStack {
  // How much of the file is read. Faulthandler writes at most 100 frames of each of at most 100 threads.
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20U;
  // A thread's 100 frames, and as much of others.
  static constexpr std::size_t kMostLines = 256;

  // For the obituary, of the thread that died: "crash (shop/views.py:42), called by application (shop/wsgi.py:9)", from
  // the inside to the outside. Empty: it ran no Python code.
  std::string innermost;
  // For the log, escaped: why, then the thread that died, then others. Empty: nothing was written.
  std::vector<std::string> lines;
};
[[nodiscard]] PythonStack parse_python_stack(std::string_view text);

}  // namespace prong::master
