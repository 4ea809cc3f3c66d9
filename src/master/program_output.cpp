#include "master/program_output.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace prong::master {
namespace {

// A fourth of a share, so that others get their turn in between.
constexpr std::size_t kPiece = 16U << 10U;

std::size_t cost_of(std::size_t bytes, std::size_t lines) {
  return std::max(bytes, lines * ProgramOutput::kLineCost);
}

}  // namespace

std::vector<std::string> LineCutter::feed(std::string_view bytes) {
  std::vector<std::string> lines;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    append(bytes.substr(0, end));
    if (end == std::string_view::npos) break;
    take_line(lines);
    bytes.remove_prefix(end + 1);
  }
  return lines;
}

std::optional<std::string> LineCutter::finish() {
  std::vector<std::string> lines;
  take_line(lines);
  if (lines.empty()) return std::nullopt;
  return std::move(lines.front());
}

void LineCutter::append(std::string_view bytes) {
  const std::size_t room = kLongestLine - line_.size();
  cut_ = cut_ || bytes.size() > room;
  line_ += bytes.substr(0, room);
}

void LineCutter::take_line(std::vector<std::string>& lines) {
  if (line_.ends_with('\r')) line_.pop_back();
  if (std::exchange(cut_, false)) line_ += "...";
  if (!line_.empty()) lines.push_back(std::exchange(line_, {}));
}

ProgramOutput::Lines ProgramOutput::read(os::TimePoint now) {
  if (now >= resume_at()) {
    interval_began_ = now;
    spent_ = 0;
  }
  Lines result;
  std::array<char, kPiece> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
  const os::IoResult got = os::read_pipe(reader_.get(), std::span{buffer});
  if (got.end || got.error != 0) {
    result.state = State::kEnded;
    if (auto last = cutter_.finish()) result.lines.push_back(std::move(*last));
    return result;
  }
  result.lines = cutter_.feed({buffer.data(), got.bytes});
  spent_ += cost_of(got.bytes, result.lines.size());
  if (spent_ >= kMostBytes) result.state = State::kPaused;
  return result;
}

std::vector<std::string> ProgramOutput::finish() {
  std::vector<std::string> all;
  std::array<char, kPiece> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
  for (std::size_t spent = 0; spent < kMostBytes;) {
    const os::IoResult got = os::read_pipe(reader_.get(), std::span{buffer});
    if (got.bytes == 0) break;
    std::vector<std::string> lines = cutter_.feed({buffer.data(), got.bytes});
    spent += cost_of(got.bytes, lines.size());
    std::ranges::move(lines, std::back_inserter(all));
  }
  if (auto last = cutter_.finish()) all.push_back(std::move(*last));
  return all;
}

}  // namespace prong::master
