// The access log of one worker: finished lines wait in a bounded buffer and go to the file together.
//
// The file is one that several processes append to (O_APPEND). One write(2) holds whole lines only, so lines of several
// writers never mix: the kernel appends each write at one place (a file), or takes it whole or not at all (a pipe, up
// to PIPE_BUF bytes, pipe(7)). What goes wrong is told once in the process log, and so is its end, with the number of
// lines that were lost. Nothing here waits for a reader; a file system may take its time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"
#include "log/access_line.hpp"
#include "os/clock.hpp"
#include "os/unique_fd.hpp"

namespace prong::log {

class AccessLog {
 public:
  struct Settings {
    std::string path = {};   // for messages
    Duration flush_delay{};  // the longest that a line waits for others; 0: it does not wait
  };
  // `file`: opened by open_access_log(), in this process or in the master. `worker`: who writes.
  AccessLog(os::UniqueFd file, const AccessFormat& format, const Subject& worker, Settings settings);

  // An answer begins: what is known of it, copied into a line that waits for the rest. No allocation in the steady
  // state.
  [[nodiscard]] AccessLine begin(const AccessRecord& record);
  // The answer was sent, or cut: the line is complete and is written within flush_delay. A line that was not begun does
  // nothing.
  void finish(AccessLine&& line, const AccessResult& result, os::TimePoint now);

  // When flush() is to be called; nothing: not before the next finish().
  [[nodiscard]] std::optional<os::TimePoint> next_deadline() const { return due_; }
  // Writes what waits. After a failure the lines stay, and it is tried again at next_deadline().
  void flush(os::TimePoint now);
  // Goes on in this file (USR1); what waits still goes to the old one, if that takes it.
  void adopt(os::UniqueFd file, os::TimePoint now);
  // The end of the process: what waits is written, with a moment's patience for a reader (100 ms); what cannot be
  // written is lost and counted.
  void close(os::TimePoint now);

  // Bytes that wait.
  [[nodiscard]] std::size_t waiting() const { return buffer_.size(); }

 private:
  void attempt(os::TimePoint now);
  [[nodiscard]] int write_all();
  [[nodiscard]] std::string_view next_write() const;
  void note_written(std::size_t bytes);
  void take_back();
  void note_failure(int error, os::TimePoint now);
  void complain(os::TimePoint now);
  void note_success();
  void look_at_file();

  os::UniqueFd file_;
  Settings settings_;
  AccessLineMaker maker_;
  std::vector<AccessLine> free_lines_ = {};
  std::string buffer_ = {};       // whole lines
  std::size_t torn_ = 0;          // bytes of the first one that are in the file already
  bool is_file_ = false;          // a regular one
  std::size_t most_at_once_ = 0;  // of one write, and of one line
  std::optional<os::TimePoint> due_ = {};

  bool failing_ = false;
  int error_ = 0;      // why it fails
  bool told_ = false;  // that it fails
  std::optional<os::TimePoint> last_told_ = {};
  std::uint64_t lost_ = 0;  // lines, since that was last told
};

// Opens the file of an access log to append to it, and makes it if need be (mode 0640: it names clients). Does not wait
// for the reader of a FIFO: without one it is an error.
[[nodiscard]] Result<os::UniqueFd> open_access_log(const std::string& path);

}  // namespace prong::log
