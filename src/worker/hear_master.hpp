// How every worker reads its channel: what is there now, message by message.
#pragma once

#include <cstdint>
#include <utility>

#include "ipc/channel.hpp"

namespace prong::worker {

enum class Hearing : std::uint8_t { kGoesOn, kEnough };
enum class MasterIs : std::uint8_t { kThere, kGone };

// Hands each message to `obey` (ipc::Channel::Received -> Hearing). Does not block. What is no message comes from a
// master of another version and is passed over: it knows what it does with a worker that does not react.
template <class Obey>
[[nodiscard]] MasterIs hear_master(const ipc::Channel& channel, Obey obey) {
  while (true) {
    ipc::Channel::Received received = channel.receive();
    switch (received.kind) {
      case ipc::Channel::Kind::kNothing:
        return MasterIs::kThere;
      case ipc::Channel::Kind::kMessage:
        if (obey(std::move(received)) == Hearing::kEnough) return MasterIs::kThere;
        break;
      case ipc::Channel::Kind::kGarbage:
        break;
      case ipc::Channel::Kind::kEnd:
        return MasterIs::kGone;
    }
  }
}

}  // namespace prong::worker
