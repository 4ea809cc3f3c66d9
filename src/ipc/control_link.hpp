// A client's end of a connection to the control server that it was born with: a worker of a status pool asks the master
// over it. Not the socket in the file system, which may be off, and may be closed to the pool's user.
#pragma once

#include <mutex>
#include <string>

#include "base/error.hpp"
#include "base/units.hpp"
#include "ipc/control.hpp"
#include "os/unique_fd.hpp"

namespace prong::ipc {

// Safe to use from several threads: one asks at a time.
class ControlLink {
 public:
  explicit ControlLink(os::UniqueFd fd) : fd_(std::move(fd)) {}

  // The line of the answer, with its line end. Blocks until it is there, for at most `patience`; the turns of other
  // threads come on top. After an answer that came too late, or not yet, the next question fails at once until it has
  // come: it is thrown away, so that no answer is taken for that of another question.
  [[nodiscard]] Result<std::string> ask(const ControlRequest& request, Duration patience);

 private:
  // The next whole line; empty: it was not there by the deadline.
  [[nodiscard]] Result<std::string> take_line(os::TimePoint deadline);
  [[nodiscard]] Result<std::string> broken(std::string_view why);

  std::mutex turn_;
  os::UniqueFd fd_;
  std::string input_;
  bool owed_ = false;  // an answer that nobody waits for any more
};

}  // namespace prong::ipc
