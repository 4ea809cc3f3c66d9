#include "os/cpu.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <string>

namespace prong::os {
namespace {

unsigned affinity_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails on machines with more than 1,024 CPUs; then one worker and a look at `workers` is the answer.
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(CPU_COUNT(&set), 1));
}

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file{path};
  if (!file) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>{file}, {}};
}

std::optional<long> take_number(std::string_view& text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// The path in the "0::/path" line of /proc/self/cgroup (cgroups(7)); v1 hierarchies have other numbers.
std::optional<std::string> own_cgroup() {
  const auto text = read_text("/proc/self/cgroup");
  if (!text) return std::nullopt;
  const std::size_t at = text->starts_with("0::") ? 0 : text->find("\n0::");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t start = text->find('/', at);
  if (start == std::string::npos) return std::nullopt;
  return text->substr(start, text->find('\n', start) - start);
}

// The tightest quota on the way from our cgroup to the root: each ancestor's limit holds too.
std::optional<unsigned> cgroup_quota() {
  auto path = own_cgroup();
  std::optional<unsigned> tightest;
  while (path) {
    const auto text = read_text("/sys/fs/cgroup" + *path + "/cpu.max");
    const auto quota = text ? parse_cpu_max(*text) : std::nullopt;
    if (quota) tightest = tightest ? std::min(*tightest, *quota) : *quota;
    const std::size_t slash = path->rfind('/');
    if (path->size() <= 1 || slash == std::string::npos) break;
    path->resize(slash);
  }
  return tightest;
}

}  // namespace

std::optional<unsigned> parse_cpu_max(std::string_view text) {
  const auto quota = take_number(text);
  if (!quota || *quota <= 0) return std::nullopt;
  const auto period = take_number(text);
  if (!period || *period <= 0) return std::nullopt;
  return static_cast<unsigned>((*quota - 1) / *period + 1);
}

unsigned usable_cpus() {
  const unsigned affinity = affinity_cpus();
  const auto quota = cgroup_quota();
  return std::max(quota ? std::min(affinity, *quota) : affinity, 1U);
}

}  // namespace prong::os
