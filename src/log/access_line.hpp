// Makes the lines of an access log: one half when an answer begins, the other when it has been sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "log/access_format.hpp"
#include "log/access_record.hpp"
#include "log/access_time.hpp"
#include "log/log.hpp"

namespace prong::log {

// A line that waits for the end of its answer: its text, and the places of what is not known yet. Holds copies only.
// One that is dropped is a line that is not written.
class AccessLine {
 public:
  [[nodiscard]] bool begun() const { return !text_.empty(); }

 private:
  friend class AccessLineMaker;
  struct Gap {
    std::uint32_t offset = 0;  // in the text
    std::uint32_t part = 0;    // of the format
  };
  std::string text_ = {};  // with the newline
  std::vector<Gap> gaps_ = {};
};

class AccessLineMaker {
 public:
  // `worker`: what stands for {pool}, {worker}, {generation} and {pid}.
  AccessLineMaker(const AccessFormat& format, const Subject& worker);

  // Replaces what was in `line`, and reuses its memory. Of each value that has more than `most_value_bytes`, that many
  // bytes and "..." are written.
  void begin(AccessLine& line, const AccessRecord& record,
             std::size_t most_value_bytes = std::numeric_limits<std::size_t>::max());
  // Appends the whole line.
  void finish(const AccessLine& line, const AccessResult& result, std::string& into) const;
  // The most bytes that finish() can append.
  [[nodiscard]] static std::size_t most_bytes(const AccessLine& line);
  // Empties a line so that begin() can use its memory again. False: it holds so much that it should rather be freed.
  [[nodiscard]] static bool recycle(AccessLine& line);

 private:
  class Writer;
  void append_early(Writer& writer, const AccessFormat::Part& part, const AccessRecord& record);

  std::vector<AccessFormat::Part> parts_;
  EscapeSet bare_;
  AccessTime time_ = {};
};

}  // namespace prong::log
