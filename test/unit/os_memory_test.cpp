// The memory and processor time of processes, as the kernel tells it.
#include <catch2/catch.hpp>
#include <unistd.h>

#include <cstddef>
#include <ctime>
#include <fstream>
#include <vector>

#include "os/memory.hpp"

namespace prong::os {
namespace {

constexpr std::uint64_t kMore = 64U << 20U;

// Every page is written to, so that the kernel has to have it.
std::vector<char> touched(std::size_t size) {
  return std::vector<char>(size, 'x');
}

}  // namespace

TEST_CASE("what a process begins to use is seen in both measures") {
  const auto resident = resident_memory();
  const auto proportional = proportional_memory();
  REQUIRE(resident.has_value());
  REQUIRE(proportional.has_value());
  CHECK(proportional->bytes <= resident->bytes + (1U << 20U));
  const std::vector<char> more = touched(kMore);
  CHECK(more.back() == 'x');
  constexpr std::uint64_t kMost = kMore / 10 * 9;  // the kernel counts in steps
  CHECK(resident_memory()->bytes >= resident->bytes + kMost);
  CHECK(proportional_memory()->bytes >= proportional->bytes + kMost);
}

TEST_CASE("what a process uses is told also when its name looks like the fields behind it") {
  std::ofstream("/proc/self/comm") << "a) R 1 (b";
  const auto before = usage_of(::getpid());
  REQUIRE(before.has_value());
  CHECK(before->resident.bytes == Approx(resident_memory()->bytes).epsilon(0.1));
  // By the clock of this process, so that it has as much whatever else runs.
  const auto used = [] {
    timespec time{};
    (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);  // always there
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto end = used() + std::chrono::milliseconds(100);
  while (used() < end) {
  }
  const auto after = usage_of(::getpid());
  REQUIRE(after.has_value());
  CHECK(after->cpu_time >= before->cpu_time + std::chrono::milliseconds(60));  // in steps of 10 ms
  CHECK(after->cpu_time <= used() + std::chrono::milliseconds(20));
  std::ofstream("/proc/self/comm") << "os_test";
}

TEST_CASE("nothing is told of a process that is not there") {
  CHECK_FALSE(usage_of(0).has_value());
  CHECK_FALSE(usage_of(-1).has_value());
}

TEST_CASE("what the out-of-memory killer has done stands in the file of our memory cgroup") {
  const auto files = [](const char* text) { return memory_event_files(text); };
  using Files = std::vector<std::string>;
  CHECK(files("0::/system.slice/prongd.service\n") ==
        Files{"/sys/fs/cgroup/system.slice/prongd.service/memory.events"});
  CHECK(files("9:name=systemd:/a\n4:memory:/b:c\n1:cpu,cpuacct:/\n0::/") ==
        Files{"/sys/fs/cgroup/memory/b:c/memory.oom_control", "/sys/fs/cgroup//memory.events"});
  CHECK(files("").empty());
  CHECK(files("\n\n").empty());
  CHECK(files("4:memory").empty());
  CHECK(files(":").empty());
}

}  // namespace prong::os
