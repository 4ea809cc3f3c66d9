// What a program of an exec pool writes to standard error, line by line, for the process log.
//
// The program is foreign: it may write without end, without a line break, or leave children behind that hold the pipe.
// The pipe is its brake: the master reads no more than a rate, so that a flood slows the program down and nobody else.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"
#include "os/clock.hpp"
#include "os/pipe.hpp"

namespace prong::master {

// Cuts a stream into lines. Pure.
class LineCutter {
 public:
  // What is longer is cut, and ends in "...".
  static constexpr std::size_t kLongestLine = 8192;
  // The lines that are complete now; empty ones are left out.
  [[nodiscard]] std::vector<std::string> feed(std::string_view bytes);
  // The last line, if its break never came.
  [[nodiscard]] std::optional<std::string> finish();

 private:
  void append(std::string_view bytes);
  void take_line(std::vector<std::string>& lines);
  std::string line_;
  bool cut_ = false;
};

class ProgramOutput {
 public:
  // `pipe` is what the program writes to; borrowed by nobody.
  explicit ProgramOutput(os::UniqueFd reader) : reader_(std::move(reader)) {}
  [[nodiscard]] int fd() const { return reader_.get(); }

  // A worker's share of the master's time: 64 KiB each 50 ms are 1.3 MB/s, more than anybody reads.
  static constexpr Duration kInterval{50};
  static constexpr std::size_t kMostBytes = 64U << 10U;
  // A line costs the master a write, however short it is; so it counts as this many bytes at least.
  static constexpr std::size_t kLineCost = 256;

  enum class State : unsigned char {
    kOpen,
    kPaused,  // it has used up its share: do not watch it before resume_at()
    kEnded,   // nobody can write any more
  };
  struct Lines {
    std::vector<std::string> lines;
    State state = State::kOpen;
  };
  // One piece of what waits. Does not block.
  [[nodiscard]] Lines read(os::TimePoint now);
  [[nodiscard]] os::TimePoint resume_at() const { return interval_began_ + kInterval; }

  // After the program's death: what is left in the pipe, at most once the share of an interval, and the last line. What
  // others who hold the pipe still write is lost.
  [[nodiscard]] std::vector<std::string> finish();

 private:
  os::UniqueFd reader_;
  LineCutter cutter_;
  os::TimePoint interval_began_;
  std::size_t spent_ = 0;
};

}  // namespace prong::master
