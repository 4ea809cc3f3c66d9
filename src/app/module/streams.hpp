// A module that talks with its clients in a language of its own, as an application of streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/module/runtime.hpp"
#include "app/stream.hpp"
#include "prong/module.h"

// The C ABI's name for one client.
struct prong_connection {
  prong::app::module::Runtime* runtime = nullptr;
  std::uint64_t connection = 0;
  prong::os::SocketAddress address = {};
  std::string address_text = {};  // made when it is asked for
  void* context = nullptr;        // the module's

  // `event`.
  prong::app::StreamReply* reply = nullptr;  // while a callback for this very connection runs
  std::string outbox = {};                   // what is to be sent when there is room
  std::size_t room = 0;                      // as far as is known, without the outbox
  bool is_full = false;                      // send() said 0: writable() is owed
  bool is_woken = false;                     // the worker has been told
  bool closes = false;
  bool is_cut = false;
  std::optional<bool> wants_data = {};  // said since the last event
  bool is_paused = false;               // want_data(false) holds

  prong::app::StreamPartner* partner = nullptr;  // in serve()
};

namespace prong::app::module {

class Streams final : public StreamHandler {
 public:
  // Borrowed.
  explicit Streams(Runtime& runtime) : runtime_(&runtime) {}

  [[nodiscard]] std::unique_ptr<Stream> open(const StreamPeer& peer, StreamReply& reply) override;
  [[nodiscard]] bool converses() const override { return runtime_->settings().model != Model::kEvent; }
  void converse(StreamPartner& partner) override;
  [[nodiscard]] std::optional<os::TimePoint> do_housekeeping(os::TimePoint now) override;

 private:
  Runtime* runtime_;
};

// The functions of the C ABI: prong_api has what they do and give.
void connection_peer(prong_connection* connection, prong_address* address);
std::size_t send(prong_connection* connection, prong_text bytes);
void close(prong_connection* connection);
void cut(prong_connection* connection);
void want_data(prong_connection* connection, bool wanted);
std::ptrdiff_t read(prong_connection* connection, char* buffer, std::size_t size, std::uint64_t timeout_ns,
                    std::uint32_t flags);
int write(prong_connection* connection, prong_text bytes);

}  // namespace prong::app::module
