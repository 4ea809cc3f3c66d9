// The process log: one line for each fact, to the journal, standard error or a file.
//
// The only room of spdlog. Synchronous on purpose: async loggers and flush threads do not survive a fork (facts.md).
// A log that cannot be written never stops the daemon: the loss is told once, on standard error, and counted.
#pragma once

#include <fmt/format.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "base/message_code.hpp"
#include "os/unique_fd.hpp"

namespace prong::log {

enum class Level : std::uint8_t { kDebug, kInfo, kWarn, kError };

// Lines of these levels carry a code (base/message_code.hpp), and lines of those do not. Two types, so that the
// compiler sees to it.
enum class Coded : std::uint8_t { kWarn, kError };
enum class Plain : std::uint8_t { kDebug, kInfo };

enum class Target : std::uint8_t { kStderr, kJournal, kFile };
enum class Color : std::uint8_t { kAuto, kAlways, kNever };

struct Settings {
  Target target = Target::kStderr;
  std::string path;  // of Target::kFile
  Level level = Level::kInfo;
  Color color = Color::kAuto;  // kAuto: when standard error is a terminal and NO_COLOR is not set
};

// Whom a line is about. In the journal: POOL=, WORKER=, GENERATION=, WORKER_PID=. An empty pool is the master.
struct Subject {
  std::string pool = {};
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  pid_t pid = 0;
  // "master", or "shop/worker[0] gen=1 pid=77"
  [[nodiscard]] std::string text() const;
};

// An opened log that is not in use yet, so that a reload can fail before anything has changed.
class Output;
[[nodiscard]] Result<std::shared_ptr<Output>> prepare(const Settings& settings);
void use(std::shared_ptr<Output> output);

// How a program that this process is about to become (execve(2)) goes on with the log in use: its settings, with the
// colour decided, and the descriptor that lines go to (borrowed; -1: the journal, which is opened anew).
struct Handover {
  Settings settings;
  int fd = -1;
};
[[nodiscard]] Handover handover();
// In that program. `fd` is taken over.
[[nodiscard]] Result<std::shared_ptr<Output>> take_over(const Settings& settings, os::UniqueFd fd);

// Opens the file again by its path (after logrotate). The old one goes on if that fails. No file: nothing to do.
[[nodiscard]] Result<void> reopen();
// The log file's descriptor (borrowed), to be sent to the workers after reopen(); -1 without a file.
[[nodiscard]] int file_descriptor();
// In a worker: goes on in the file that the master opened.
void adopt_file(os::UniqueFd file);
// What a worker must not close.
[[nodiscard]] std::vector<int> descriptors();

// Whom lines of this process are about from now on (a worker, after its fork).
void set_subject(Subject subject);

// Of the output in use, for this process and those that are forked from it, until another output is used.
void set_level(Level level);
[[nodiscard]] bool enabled(Level level);
[[nodiscard]] bool enabled(Coded level);
[[nodiscard]] bool enabled(Plain level);
// The code stands at the end of the line (of the first line, if the text has several), and in the journal also in
// CODE=.
void write(Plain level, std::string_view text);
void write(Plain level, const Subject& subject, std::string_view text);
void write(Coded level, MessageCode code, std::string_view text);
void write(Coded level, MessageCode code, const Subject& subject, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Plain::kDebug)) write(Plain::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Plain::kInfo)) write(Plain::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(MessageCode code, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Coded::kWarn)) write(Coded::kWarn, code, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(MessageCode code, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Coded::kError)) write(Coded::kError, code, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace prong::log
