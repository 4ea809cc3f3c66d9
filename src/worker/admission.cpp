#include "worker/admission.hpp"

namespace prong::worker {

Admission admission(config::Concurrency concurrency, const Load& load) {
  if (load.connections >= load.most_connections || !load.has_free_thread) return Admission::kLeave;
  switch (concurrency) {
    case config::Concurrency::kEvent:
    case config::Concurrency::kThread:
      return Admission::kTake;
    case config::Concurrency::kProcess:
      break;
  }
  // A client that only has to close does not count: its request is over.
  const std::size_t held = load.connections - load.lingering;
  if (held == 0) return Admission::kTake;
  return held == 1 && load.idle == 1 ? Admission::kReserve : Admission::kLeave;
}

}  // namespace prong::worker
