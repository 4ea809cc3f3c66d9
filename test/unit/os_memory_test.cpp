// The memory of this process, as the kernel tells it.
#include <catch2/catch.hpp>

#include <cstddef>
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

}  // namespace prong::os
