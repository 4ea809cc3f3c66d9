#include "os/memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "os/file.hpp"
#include "os/unique_fd.hpp"

namespace prong::os {
namespace {

// Files of /proc have no size to go by; both are below 1 KiB.
Result<std::string> read_text(const char* path) {
  constexpr std::size_t kMostText = 4U << 10U;
  const std::string action = std::string{"cannot read "} + path;
  const UniqueFd file{::open(path, O_RDONLY | O_CLOEXEC)};
  if (!file.valid()) return failure(system_error(action, errno));
  std::string text(kMostText, '\0');
  auto size = read_at(file.get(), 0, text);
  if (!size) return failure(action, std::move(size.error()));
  text.resize(*size);
  return text;
}

// The number at the start of `text`, after spaces.
Result<std::uint64_t> leading_number(std::string_view text, const char* path) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  std::uint64_t value = 0;
  if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value); error != std::errc{})
    return failure(std::string{"cannot understand "} + path);
  return value;
}

std::uint64_t page_size() {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

Result<ByteSize> resident_memory() {
  constexpr const char* kPath = "/proc/self/statm";
  const auto text = read_text(kPath);
  if (!text) return failure(text.error());
  // "size resident shared ...", in pages.
  const auto pages = leading_number(std::string_view{*text}.substr(std::min(text->find(' '), text->size())), kPath);
  if (!pages) return failure(pages.error());
  return ByteSize{*pages * page_size()};
}

Result<ByteSize> proportional_memory() {
  constexpr const char* kPath = "/proc/self/smaps_rollup";
  constexpr std::string_view kLine = "\nPss:";
  const auto text = read_text(kPath);
  if (!text) return failure(text.error());
  const std::size_t line = text->find(kLine);
  if (line == std::string::npos) return failure(std::string{"cannot understand "} + kPath);
  const auto kibibytes = leading_number(std::string_view{*text}.substr(line + kLine.size()), kPath);
  if (!kibibytes) return failure(kibibytes.error());
  return ByteSize{*kibibytes << 10U};
}

std::optional<ProcessUsage> usage_of(pid_t pid) {
  // Counted from 1 in proc(5), /proc/pid/stat; the second one is the name in parentheses, which may hold anything.
  constexpr std::size_t kFirstBehindName = 3;
  constexpr std::size_t kUserTime = 14;
  constexpr std::size_t kSystemTime = 15;
  constexpr std::size_t kResident = 24;
  static const auto ticks_per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  const std::string path = "/proc/" + std::to_string(pid) + "/stat";
  const auto text = read_text(path.c_str());
  if (!text) return std::nullopt;
  const std::size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view{*text}.substr(name_end + 1);
  std::uint64_t ticks = 0;
  for (std::size_t field = kFirstBehindName; field <= kResident; ++field) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (field == kUserTime || field == kSystemTime || field == kResident) {
      const auto value = leading_number(rest, path.c_str());
      if (!value) return std::nullopt;
      if (field == kResident)
        return ProcessUsage{.resident = ByteSize{*value * page_size()},
                            .cpu_time = std::chrono::milliseconds(ticks * 1'000 / ticks_per_second)};
      ticks += *value;
    }
    rest.remove_prefix(std::min(rest.find(' '), rest.size()));
  }
  return std::nullopt;
}

// A line is "hierarchy:controllers:path"; in cgroups v2 "0::path".
std::vector<std::string> memory_event_files(std::string_view own_cgroups) {
  std::vector<std::string> files;
  while (!own_cgroups.empty()) {
    const std::string_view line = own_cgroups.substr(0, own_cgroups.find('\n'));
    own_cgroups.remove_prefix(std::min(line.size() + 1, own_cgroups.size()));
    const std::size_t controllers = std::min(line.find(':'), line.size() - 1) + 1;
    const std::size_t end = line.find(':', controllers);
    if (line.empty() || end == std::string_view::npos) continue;
    const std::string path{line.substr(end + 1)};
    const std::string_view names = line.substr(controllers, end - controllers);
    if (names == "memory") files.push_back("/sys/fs/cgroup/memory" + path + "/memory.oom_control");
    if (names.empty()) files.push_back("/sys/fs/cgroup" + path + "/memory.events");
  }
  return files;
}

std::optional<std::uint64_t> out_of_memory_kills() {
  constexpr std::string_view kField = "\noom_kill ";
  const auto own_cgroups = read_text("/proc/self/cgroup");
  if (!own_cgroups) return std::nullopt;
  for (const std::string& path : memory_event_files(*own_cgroups)) {
    const auto text = read_text(path.c_str());
    if (!text) continue;
    const std::size_t at = text->find(kField);
    if (at == std::string::npos) continue;
    if (const auto kills = leading_number(std::string_view{*text}.substr(at + kField.size()), path.c_str()))
      return *kills;
  }
  return std::nullopt;
}

}  // namespace prong::os
