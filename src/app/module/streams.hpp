// A module that talks with its clients in a language of its own, as an application of streams.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "app/module/runtime.hpp"
#include "app/stream.hpp"
#include "prong/module.h"

namespace prong::app::module {

// What a connection has to send as soon as there is room. Leaves in pieces at its front, without moving the rest for
// each.
class Outbox {
 public:
  [[nodiscard]] bool empty() const { return text_.size() == gone_; }
  [[nodiscard]] std::size_t size() const { return text_.size() - gone_; }
  // Until it is changed.
  [[nodiscard]] std::string_view text() const { return std::string_view(text_).substr(gone_); }
  void append(std::string_view bytes) { text_ += bytes; }
  void drop(std::size_t bytes) {
    gone_ += bytes;
    if (gone_ < text_.size() - gone_) return;  // what is moved is less than what has gone since
    text_.erase(0, gone_);
    gone_ = 0;
  }
  // Whether take() gives all that was appended, as it is.
  [[nodiscard]] bool is_whole() const { return gone_ == 0; }
  // Empties it.
  [[nodiscard]] std::string take() {
    gone_ = 0;
    return std::exchange(text_, {});
  }

 private:
  std::string text_;
  std::size_t gone_ = 0;
};

}  // namespace prong::app::module

// The C ABI's name for one client.
struct prong_connection {
  prong::app::module::Runtime* runtime = nullptr;
  std::uint64_t connection = 0;
  prong::os::SocketAddress address = {};
  std::string address_text = {};  // made when it is asked for
  void* context = nullptr;        // the module's

  // `event`.
  prong::app::StreamReply* reply = nullptr;  // while a callback for this very connection runs
  prong::app::module::Outbox outbox = {};    // what is to be sent when there is room
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
