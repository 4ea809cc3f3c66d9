#include "log/access_log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <limits>
#include <string_view>
#include <utility>

namespace prong::log {
namespace {

// What may wait. Large enough that a busy worker writes some hundred lines at once, and small enough to be lost.
constexpr std::size_t kBufferSize = std::size_t{32} << 10U;
// As many as answers may be on their way at once without an allocation.
constexpr std::size_t kMostFreeLines = 64;
// After a failure; each attempt costs a system call.
constexpr Duration kRetryDelay{100};
// A file that works and fails in turns says so this often at the most.
constexpr std::chrono::seconds kComplaintInterval{10};
// How long close() waits for the reader of a pipe.
constexpr int kLastPatienceMs = 100;
constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();

}  // namespace

Result<os::UniqueFd> open_access_log(const std::string& path) {
  constexpr mode_t kMode = 0640;
  os::UniqueFd file{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, kMode)};
  if (file.valid()) return file;
  const int error = errno;
  const std::string_view hint =
      error == ENXIO ? "it is a FIFO that nobody reads, or a socket (standard output under systemd is one)" : "";
  return failure(system_error(fmt::format("cannot open the access log \"{}\"", path), error, hint));
}

AccessLog::AccessLog(os::UniqueFd file, const AccessFormat& format, const Subject& worker, Settings settings)
    : file_(std::move(file)), settings_(std::move(settings)), maker_(format, worker) {
  buffer_.reserve(kBufferSize);
  free_lines_.reserve(kMostFreeLines);
  look_at_file();
}

void AccessLog::look_at_file() {
  struct stat status{};
  const bool known = ::fstat(file_.get(), &status) == 0;
  is_file_ = known && S_ISREG(status.st_mode);
  most_at_once_ = known && S_ISFIFO(status.st_mode) ? PIPE_BUF : kNoLimit;
}

AccessLine AccessLog::begin(const AccessRecord& record) {
  AccessLine line;
  if (!free_lines_.empty()) {
    line = std::move(free_lines_.back());
    free_lines_.pop_back();
  }
  maker_.begin(line, record);
  // A pipe takes no longer line in one piece. A client must not be able to keep his request out of the log by making it
  // long, so the values are cut until the line fits.
  for (const std::size_t most_value_bytes : {512U, 128U, 32U, 8U, 0U}) {
    if (AccessLineMaker::most_bytes(line) <= most_at_once_) break;
    maker_.begin(line, record, most_value_bytes);
  }
  return line;
}

void AccessLog::finish(AccessLine&& line, const AccessResult& result, os::TimePoint now) {
  if (!line.begun()) return;
  AccessLine taken = std::move(line);
  const std::size_t size = AccessLineMaker::most_bytes(taken);
  if (buffer_.size() + size > kBufferSize && !buffer_.empty() && !failing_) attempt(now);
  if (buffer_.empty() || buffer_.size() + size <= kBufferSize) {
    maker_.finish(taken, result, buffer_);
    if (!due_) due_ = now + settings_.flush_delay;
  } else {
    ++lost_;
    complain(now);
  }
  if (AccessLineMaker::recycle(taken) && free_lines_.size() < kMostFreeLines) free_lines_.push_back(std::move(taken));
  const bool at_once = settings_.flush_delay == Duration::zero() || buffer_.size() >= kBufferSize;
  if (at_once && !failing_) attempt(now);
}

void AccessLog::flush(os::TimePoint now) {
  attempt(now);
}

void AccessLog::adopt(os::UniqueFd file, os::TimePoint now) {
  attempt(now);
  torn_ = 0;  // a line whose beginning stays in the old file is written whole to the new one
  file_ = std::move(file);
  look_at_file();
  attempt(now);
}

void AccessLog::close(os::TimePoint now) {
  attempt(now);
  if (failing_) {
    pollfd ready{.fd = file_.get(), .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, kLastPatienceMs) == 1) attempt(now);
  }
  lost_ += static_cast<std::uint64_t>(std::ranges::count(buffer_, '\n'));
  buffer_.clear();
  if (lost_ > 0)
    warn(MessageCode::kAccessLogLinesLost, "{} lines of the access log \"{}\" were lost", std::exchange(lost_, 0),
         settings_.path);
  due_.reset();
  file_.reset();
}

// Writes all that waits, or as much as is taken.
void AccessLog::attempt(os::TimePoint now) {
  const int error = write_all();
  if (error == 0) {
    due_.reset();
    return note_success();
  }
  due_ = now + std::max(settings_.flush_delay, kRetryDelay);
  note_failure(error, now);
}

// 0, or the errno of the failure; then what is not written is still in the buffer.
int AccessLog::write_all() {
  bool began = false;  // the torn line, in this attempt
  while (!buffer_.empty()) {
    const std::string_view lines = next_write();
    const ssize_t written = ::write(file_.get(), lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : EIO;
      if (began) take_back();
      return error;
    }
    const auto size = static_cast<std::size_t>(written);
    const bool new_line = torn_ == 0 || lines.substr(0, size).contains('\n');
    note_written(size);
    began = (began || new_line) && torn_ > 0;
  }
  return 0;
}

// Whole lines, as many as one write takes. A single line that is longer (begin() could not cut it, or it was made for a
// file and meets a pipe) goes in pieces.
std::string_view AccessLog::next_write() const {
  const std::string_view rest = std::string_view{buffer_}.substr(torn_);
  if (rest.size() <= most_at_once_) return rest;
  const std::size_t newline = rest.rfind('\n', most_at_once_ - 1);
  return rest.substr(0, newline == std::string_view::npos ? most_at_once_ : newline + 1);
}

void AccessLog::note_written(std::size_t bytes) {
  const std::size_t end = torn_ + bytes;
  const std::size_t newline = buffer_.rfind('\n', end - 1);
  const std::size_t whole = newline == std::string::npos ? 0 : newline + 1;
  buffer_.erase(0, whole);
  torn_ = end - whole;
}

// A full disk takes the beginning of a line. A sibling may find room before we do, and its line would be glued to that:
// so the beginning is cut off again. It is the end of the file, since where we have found no room nobody else has.
void AccessLog::take_back() {
  struct stat status{};
  if (!is_file_ || ::fstat(file_.get(), &status) != 0) return;
  const auto torn = static_cast<off_t>(torn_);
  // An append-only file (chattr(1)) refuses: then the rest of the line follows when there is room.
  if (status.st_size >= torn && ::ftruncate(file_.get(), status.st_size - torn) == 0) torn_ = 0;
}

void AccessLog::note_failure(int error, os::TimePoint now) {
  failing_ = true;
  error_ = error;
  // A reader may be slow for a while; that is worth a word when it costs a line.
  if (error != EAGAIN) complain(now);
}

void AccessLog::complain(os::TimePoint now) {
  const bool too_soon = last_told_ && now - *last_told_ < kComplaintInterval;
  if (told_ || too_soon) return;
  log::error(MessageCode::kAccessLogNotWritten,
             "cannot write the access log \"{}\": {}; up to {} of lines wait, more are lost until it works again",
             settings_.path, error_ == EAGAIN ? "its reader is too slow" : errno_text(error_),
             to_text(ByteSize{kBufferSize}));
  told_ = true;
  last_told_ = now;
}

void AccessLog::note_success() {
  failing_ = false;
  if (!told_) return;
  told_ = false;
  info("the access log \"{}\" can be written again; {} lines were lost", settings_.path, std::exchange(lost_, 0));
}

}  // namespace prong::log
