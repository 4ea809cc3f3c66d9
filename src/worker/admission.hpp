// Whether a worker may take one more connection now: a worker accepts only what it can start to work on, so that no
// connection waits behind a busy worker while a sibling is free (design.md section 7). Pure.
#pragma once

#include <cstddef>
#include <cstdint>

#include "config/config.hpp"

namespace prong::worker {

// What a worker holds.
struct Load {
  std::size_t connections = 0;
  std::size_t idle = 0;       // of them: wait for their client's next request
  std::size_t lingering = 0;  // of them: have had their last answer
  std::size_t most_connections = 1;
  bool has_free_thread = true;  // `event`: always
};

enum class Admission : std::uint8_t {
  kTake,
  // It holds an idle connection and nothing else: it takes the next one, and gives the idle one up, when nobody else
  // does. Only in `process`.
  kReserve,
  kLeave,  // to the siblings
};

[[nodiscard]] Admission admission(config::Concurrency concurrency, const Load& load);

}  // namespace prong::worker
