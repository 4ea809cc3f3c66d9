// Chance for tests that walk at random: the same in every run, so that a walk that failed can be walked again.
#pragma once

#include <cstdint>
#include <random>

namespace prong::test {

inline std::mt19937_64 chance(std::uint64_t seed) {
  return std::mt19937_64{seed};
}

}  // namespace prong::test
