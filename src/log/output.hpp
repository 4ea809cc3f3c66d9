// Where lines go. An Output is built by prepare() and replaced as a whole; only log.cpp uses it.
#pragma once

#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "log/log.hpp"
#include "os/systemd.hpp"
#include "os/unique_fd.hpp"

namespace prong::log {

// Remembers that lines were lost, so that it is told once and the number is told when writing works again.
class LossCounter {
 public:
  // True for the first loss since the last success.
  [[nodiscard]] bool add_loss() { return lost_++ == 0; }
  // The number lost since the last success.
  [[nodiscard]] std::uint64_t take() { return std::exchange(lost_, 0); }

 private:
  std::uint64_t lost_ = 0;
};

// Lines to a descriptor, one write(2) each. Used for standard error and for files.
class LineSink final : public spdlog::sinks::sink {
 public:
  LineSink(int fd, std::string what, bool colored);
  void log(const spdlog::details::log_msg& message) override;
  void flush() override {}  // nothing is kept back
  void set_pattern(const std::string& pattern) override;
  void set_formatter(std::unique_ptr<spdlog::formatter> formatter) override;
  void set_fd(int fd) { fd_ = fd; }

 private:
  // 0, or the errno of the failure.
  int write_line(std::string_view line);

  int fd_;  // borrowed: 2, or the Output's file
  std::string what_;
  bool colored_;
  LossCounter losses_;
  bool stuck_ = false;
  std::size_t most_at_once_;  // what a write after poll(2) takes without blocking
  std::unique_ptr<spdlog::formatter> formatter_;
};

class JournalSink final : public spdlog::sinks::sink {
 public:
  explicit JournalSink(os::JournalSocket socket) : socket_(std::move(socket)) {}
  void log(const spdlog::details::log_msg& message) override;
  void flush() override {}
  void set_pattern(const std::string& /*pattern*/) override {}                      // the journal has fields
  void set_formatter(std::unique_ptr<spdlog::formatter> /*formatter*/) override {}  // and no format
  [[nodiscard]] int fd() const { return socket_.fd(); }

 private:
  os::JournalSocket socket_;
  LossCounter losses_;
};

class Output {
 public:
  Settings settings;
  os::UniqueFd file;       // of Target::kFile
  os::UniqueFd inherited;  // of Target::kStderr, when that is not descriptor 2 (take_over())
  std::shared_ptr<LineSink> lines;
  std::shared_ptr<JournalSink> journal;
  std::shared_ptr<spdlog::logger> logger;
};

// The subject and the code of the line that is being written: spdlog's message has no room for them.
const Subject& current_subject();
std::optional<MessageCode> current_code();

}  // namespace prong::log
