#include "log/output.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <spdlog/pattern_formatter.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <limits>

namespace prong::log {
namespace {

// Our words for the levels, all five columns wide.
class LevelFlag final : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm& /*time*/,
              spdlog::memory_buf_t& destination) override {
    const std::string_view text = [&]() -> std::string_view {
      switch (message.level) {
        case spdlog::level::trace:
        case spdlog::level::debug:
          return "debug";
        case spdlog::level::info:
          return "info ";
        case spdlog::level::warn:
          return "warn ";
        case spdlog::level::err:
        case spdlog::level::critical:
          return "error";
        case spdlog::level::off:
        case spdlog::level::n_levels:
          break;
      }
      return "?    ";
    }();
    destination.append(text.data(), text.data() + text.size());
  }
  [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<LevelFlag>(); }
};

std::string_view color_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::warn:
      return "\x1b[33m";
    case spdlog::level::err:
    case spdlog::level::critical:
      return "\x1b[1;31m";
    case spdlog::level::info:
      return "\x1b[32m";
    case spdlog::level::trace:
    case spdlog::level::debug:
      return "\x1b[2m";
    case spdlog::level::off:
    case spdlog::level::n_levels:
      break;
  }
  return "";
}

// How long one line may wait for a slow reader of a pipe or a terminal. After that the sink counts as stuck and does
// not wait again until the reader has caught up: the master never blocks.
constexpr int kPatienceMs = 100;

int priority_of(spdlog::level::level_enum level) {
  switch (level) {  // syslog(3)
    case spdlog::level::trace:
    case spdlog::level::debug:
      return 7;
    case spdlog::level::info:
      return 6;
    case spdlog::level::warn:
      return 4;
    case spdlog::level::err:
    case spdlog::level::critical:
    case spdlog::level::off:
    case spdlog::level::n_levels:
      break;
  }
  return 3;
}

// A pipe that is ready takes PIPE_BUF bytes, and a longer write would block (pipe(7)). Files take a line whole, so that
// lines of several processes never mix.
std::size_t most_without_blocking(int fd) {
  struct stat status{};
  const bool is_file = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  return is_file ? std::numeric_limits<std::size_t>::max() : PIPE_BUF;
}

// Tells on standard error what the log itself cannot tell. Best effort.
void complain(std::string_view what, int error) {
  const std::string line =
      fmt::format("prongd: cannot write the log to {}: {}; lines are lost until it works again [{}]\n", what,
                  errno_text(error), to_text(MessageCode::kLogNotWritten));
  pollfd ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  if (::poll(&ready, 1, 0) == 1) (void)(::write(STDERR_FILENO, line.data(), line.size()) == 0);
}

}  // namespace

LineSink::LineSink(int fd, std::string what, bool colored)
    : fd_(fd), what_(std::move(what)), colored_(colored), most_at_once_(most_without_blocking(fd)) {
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<LevelFlag>('*').set_pattern("%Y-%m-%d %H:%M:%S.%e %^%*%$ %v");
  formatter_ = std::move(formatter);
}

void LineSink::set_pattern(const std::string& pattern) {
  formatter_ = std::make_unique<spdlog::pattern_formatter>(pattern);
}

void LineSink::set_formatter(std::unique_ptr<spdlog::formatter> formatter) {
  formatter_ = std::move(formatter);
}

void LineSink::log(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t buffer;
  formatter_->format(message, buffer);
  std::string line{buffer.data(), buffer.size()};
  if (colored_ && message.color_range_end > message.color_range_start) {
    line.insert(message.color_range_end, "\x1b[0m");
    line.insert(message.color_range_start, color_of(message.level));
  }
  const int error = write_line(line);
  if (error != 0) {
    if (losses_.add_loss()) complain(what_, error);
    return;
  }
  if (const std::uint64_t lost = losses_.take(); lost > 0)
    (void)write_line(fmt::format("(the log could not be written for a while: {} lines were lost) [{}]\n", lost,
                                 to_text(MessageCode::kLogLinesLost)));
}

int LineSink::write_line(std::string_view line) {
  while (!line.empty()) {
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    if (::poll(&ready, 1, stuck_ ? 0 : kPatienceMs) == 0) {
      stuck_ = true;
      return EAGAIN;
    }
    stuck_ = false;
    const ssize_t written = ::write(fd_, line.data(), std::min(line.size(), most_at_once_));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    line.remove_prefix(static_cast<std::size_t>(written));
  }
  return 0;
}

void JournalSink::log(const spdlog::details::log_msg& message) {
  using Field = os::JournalSocket::Field;
  const Subject& subject = current_subject();
  const std::string priority = fmt::format("{}", priority_of(message.level));
  const std::string slot = fmt::format("{}", subject.slot);
  const std::string generation = fmt::format("{}", subject.generation);
  const std::string pid = fmt::format("{}", subject.pid);
  std::vector<Field> fields{{"MESSAGE", {message.payload.data(), message.payload.size()}},
                            {"PRIORITY", priority},
                            {"SYSLOG_IDENTIFIER", "prongd"}};
  if (!subject.pool.empty()) {
    fields.push_back({"POOL", subject.pool});
    fields.push_back({"WORKER", slot});
    fields.push_back({"WORKER_PID", pid});
  }
  if (subject.generation != 0) fields.push_back({"GENERATION", generation});
  const std::optional<MessageCode> line_code = current_code();
  const std::string code = line_code ? to_text(*line_code) : std::string{};
  if (!code.empty()) fields.push_back({"CODE", code});
  const int error = socket_.send(fields);
  if (error != 0) {
    if (losses_.add_loss()) complain("the journal", error);
    return;
  }
  if (const std::uint64_t lost = losses_.take(); lost > 0) {
    const std::string lost_code = to_text(MessageCode::kLogLinesLost);
    const std::string text =
        fmt::format("the journal could not be reached for a while: {} lines were lost [{}]", lost, lost_code);
    (void)socket_.send(std::array<Field, 4>{
        Field{"MESSAGE", text}, {"PRIORITY", "4"}, {"SYSLOG_IDENTIFIER", "prongd"}, {"CODE", lost_code}});
  }
}

}  // namespace prong::log
