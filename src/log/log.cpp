#include "log/log.hpp"

#include <fcntl.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "log/output.hpp"

namespace prong::log {
namespace {

// The log of a process is one by nature; nobody outside this file sees the variable.
struct State {
  // Lines may come from any thread of a worker. The master has one thread, so no fork finds it locked.
  std::mutex mutex;
  std::shared_ptr<Output> output;
  Subject subject;
  // Of the line that is being written.
  const Subject* line_subject = nullptr;
  std::optional<MessageCode> line_code;
};
State& state() {
  static State instance;
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarn:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

Result<os::UniqueFd> open_file(const std::string& path) {
  constexpr mode_t kMode = 0640;  // the log may name clients: not for everybody
  os::UniqueFd file{::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, kMode)};
  if (!file.valid()) return failure(system_error(fmt::format("cannot open the log file \"{}\"", path), errno));
  return file;
}

bool wants_color(Color color) {
  switch (color) {
    case Color::kAlways:
      return true;
    case Color::kNever:
      return false;
    case Color::kAuto:
      break;
  }
  return ::isatty(STDERR_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
}

Result<std::shared_ptr<spdlog::sinks::sink>> make_sink(Output& output) {
  const Settings& settings = output.settings;
  switch (settings.target) {
    case Target::kJournal: {
      auto socket = os::JournalSocket::open();
      if (!socket) return failure(std::move(socket.error()));
      output.journal = std::make_shared<JournalSink>(std::move(*socket));
      return output.journal;
    }
    case Target::kFile: {
      auto file = open_file(settings.path);
      if (!file) return failure(std::move(file.error()));
      output.file = std::move(*file);
      output.lines = std::make_shared<LineSink>(output.file.get(), fmt::format("\"{}\"", settings.path), false);
      return output.lines;
    }
    case Target::kStderr:
      break;
  }
  output.lines = std::make_shared<LineSink>(STDERR_FILENO, "standard error", wants_color(settings.color));
  return output.lines;
}

// The level decides about the code: the interface sees to it.
Level to_level(Coded level) {
  switch (level) {
    case Coded::kWarn:
      return Level::kWarn;
    case Coded::kError:
      return Level::kError;
  }
  return Level::kError;
}
Level to_level(Plain level) {
  switch (level) {
    case Plain::kDebug:
      return Level::kDebug;
    case Plain::kInfo:
      return Level::kInfo;
  }
  return Level::kInfo;
}

// At the end of the first line, so that it is found where every other line has it.
std::string with_code(std::string_view text, MessageCode code) {
  const std::size_t end = std::min(text.find('\n'), text.size());
  return fmt::format("{} [{}]{}", text.substr(0, end), to_text(code), text.substr(end));
}

void write_line(Level level, std::optional<MessageCode> code, const Subject& subject, std::string_view text) {
  if (!enabled(level)) return;
  const std::lock_guard lock(state().mutex);
  state().line_subject = &subject;
  state().line_code = code;
  state().output->logger->log(to_spdlog(level), "{}: {}", subject.text(), text);
}

}  // namespace

const Subject& current_subject() {
  const State& current = state();
  return current.line_subject != nullptr ? *current.line_subject : current.subject;
}

std::optional<MessageCode> current_code() {
  return state().line_code;
}

std::string Subject::text() const {
  if (pool.empty()) return "master";
  return fmt::format("{}/worker[{}] gen={} pid={}", pool, slot, generation, pid);
}

Result<std::shared_ptr<Output>> prepare(const Settings& settings) {
  auto output = std::make_shared<Output>();
  output->settings = settings;
  auto sink = make_sink(*output);
  if (!sink) return failure(std::move(sink.error()));
  output->logger = std::make_shared<spdlog::logger>("prongd", std::move(*sink));
  output->logger->set_level(to_spdlog(settings.level));
  return output;
}

Handover handover() {
  const auto& output = state().output;
  if (!output) return {};
  Handover handed{.settings = output->settings};
  switch (output->settings.target) {
    case Target::kJournal:
      break;
    case Target::kFile:
      handed.fd = output->file.get();
      break;
    case Target::kStderr:
      handed.fd = STDERR_FILENO;
      handed.settings.color = wants_color(output->settings.color) ? Color::kAlways : Color::kNever;
      break;
  }
  return handed;
}

Result<std::shared_ptr<Output>> take_over(const Settings& settings, os::UniqueFd fd) {
  if (settings.target == Target::kJournal) return prepare(settings);
  auto output = std::make_shared<Output>();
  output->settings = settings;
  const bool is_file = settings.target == Target::kFile;
  output->lines = std::make_shared<LineSink>(
      fd.get(), is_file ? fmt::format("\"{}\"", settings.path) : "standard error", settings.color == Color::kAlways);
  (is_file ? output->file : output->inherited) = std::move(fd);
  output->logger = std::make_shared<spdlog::logger>("prongd", output->lines);
  output->logger->set_level(to_spdlog(settings.level));
  return output;
}

void use(std::shared_ptr<Output> output) {
  state().output = std::move(output);
}

Result<void> reopen() {
  const auto& output = state().output;
  if (!output || !output->file.valid()) return {};
  auto file = open_file(output->settings.path);
  if (!file) return failure(std::move(file.error()));
  adopt_file(std::move(*file));
  return {};
}

int file_descriptor() {
  return state().output ? state().output->file.get() : -1;
}

void adopt_file(os::UniqueFd file) {
  const auto& output = state().output;
  if (!output || !output->file.valid()) return;
  const std::lock_guard lock(state().mutex);  // other threads may be writing to the old one
  output->lines->set_fd(file.get());
  output->file = std::move(file);
}

std::vector<int> descriptors() {
  std::vector<int> kept;
  const auto& output = state().output;
  if (output && output->file.valid()) kept.push_back(output->file.get());
  if (output && output->journal) kept.push_back(output->journal->fd());
  return kept;
}

void set_subject(Subject subject) {
  state().subject = std::move(subject);
}

void set_level(Level level) {
  const auto& output = state().output;
  if (!output) return;
  output->settings.level = level;
  output->logger->set_level(to_spdlog(level));
}

bool enabled(Level level) {
  const auto& output = state().output;
  return output && output->logger->should_log(to_spdlog(level));
}

bool enabled(Coded level) {
  return enabled(to_level(level));
}

bool enabled(Plain level) {
  return enabled(to_level(level));
}

void write(Plain level, std::string_view text) {
  write(level, state().subject, text);
}

void write(Plain level, const Subject& subject, std::string_view text) {
  write_line(to_level(level), std::nullopt, subject, text);
}

void write(Coded level, MessageCode code, std::string_view text) {
  write(level, code, state().subject, text);
}

void write(Coded level, MessageCode code, const Subject& subject, std::string_view text) {
  if (enabled(level)) write_line(to_level(level), code, subject, with_code(text, code));
}

}  // namespace prong::log
