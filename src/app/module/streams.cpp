#include "app/module/streams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

#include "app/module/exchange.hpp"
#include "log/log.hpp"
#include "net/ip_address.hpp"

namespace prong::app::module {
namespace {

// From a callback that is about another connection, or about none: the worker calls send_more() soon.
void wake(prong_connection& connection) {
  if (std::exchange(connection.is_woken, true)) return;
  connection.runtime->wake(connection.connection);
}

// What send(), close() and their like have said is passed on at the end of the event.
class Event {
 public:
  Event(prong_connection& connection, StreamReply& reply) : connection_(&connection), reply_(&reply) {
    connection.reply = &reply;
    connection.room = reply.room();
    flush();
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  Event(Event&&) = delete;
  Event& operator=(Event&&) = delete;
  ~Event() { connection_->reply = nullptr; }

  // At the good end of the callbacks. Throws what they failed with.
  void finish() {
    flush();
    connection_->room = reply_->room();
    if (const auto wanted = std::exchange(connection_->wants_data, std::nullopt)) reply_->want_data(*wanted);
    if (connection_->is_cut)
      reply_->cut();
    else if (!connection_->outbox.empty())
      reply_->wants_to_send_more();
    else if (connection_->closes)
      reply_->close();
    else if (connection_->is_full)
      reply_->wants_room();
    Callback::check();
  }

 private:
  // The outbox goes first, so that the order is kept.
  void flush() {
    Outbox& outbox = connection_->outbox;
    if (outbox.empty()) return;
    if (const std::size_t room = reply_->room(); outbox.is_whole() && outbox.size() <= room) {
      reply_->send_owned(outbox.take());
    } else if (room > 0) {
      const std::string_view part = outbox.text().substr(0, room);
      reply_->send(part);
      outbox.drop(part.size());
    }
  }

  prong_connection* connection_;
  StreamReply* reply_;
};

class ModuleStream final : public Stream {
 public:
  ModuleStream(Runtime& runtime, const StreamPeer& peer)
      : connection_{.runtime = &runtime, .connection = peer.connection, .address = peer.address} {}
  ModuleStream(const ModuleStream&) = delete;
  ModuleStream& operator=(const ModuleStream&) = delete;
  ModuleStream(ModuleStream&&) = delete;
  ModuleStream& operator=(ModuleStream&&) = delete;
  ~ModuleStream() override {
    connection_.closes = connection_.is_cut = true;  // what is still sent goes nowhere
    if (module().closed == nullptr) return;
    const Callback::Ending ending(*connection_.runtime, "its closed()");
    module().closed(state(), &connection_);
  }

  void open(StreamReply& reply) {
    Event event(connection_, reply);
    if (module().open != nullptr) module().open(state(), &connection_);
    event.finish();
  }
  void receive(std::string_view bytes, StreamReply& reply) override {
    Event event(connection_, reply);
    if (!connection_.is_paused && held_.empty()) {
      if (is_open()) module().data(state(), &connection_, to_text(bytes));
    } else {
      held_ += bytes;
      hand_over();
    }
    event.finish();
  }
  void receive_end(StreamReply& reply) override {
    Event event(connection_, reply);
    has_ended_ = true;
    hand_over();
    event.finish();
  }
  void send_more(StreamReply& reply) override {
    connection_.is_woken = false;
    Event event(connection_, reply);
    const bool has_room = connection_.outbox.empty() && reply.room() > 0 && is_open();
    if (has_room && std::exchange(connection_.is_full, false) && module().writable != nullptr)
      module().writable(state(), &connection_);
    hand_over();
    event.finish();
  }

 private:
  [[nodiscard]] const prong_module& module() const { return connection_.runtime->module(); }
  [[nodiscard]] void* state() const { return connection_.runtime->state(); }
  [[nodiscard]] bool is_open() const { return !connection_.closes && !connection_.is_cut; }

  // What had been read already when the module said that it wants nothing now, and wants it again.
  void hand_over() {
    if (!held_.empty() && !connection_.is_paused && is_open()) {
      const std::string bytes = std::exchange(held_, {});
      module().data(state(), &connection_, to_text(bytes));
    }
    if (!has_ended_ || connection_.is_paused || !is_open()) return;
    has_ended_ = false;
    if (module().end == nullptr)
      connection_.closes = true;
    else
      module().end(state(), &connection_);
  }

  prong_connection connection_;
  std::string held_;
  bool has_ended_ = false;  // the client, and end() has not been called
};

}  // namespace

std::unique_ptr<StreamHandler> Runtime::make_streams() {
  return std::make_unique<Streams>(*this);
}

std::unique_ptr<Stream> Streams::open(const StreamPeer& peer, StreamReply& reply) {
  auto stream = std::make_unique<ModuleStream>(*runtime_, peer);
  stream->open(reply);
  return stream;
}

void Streams::converse(StreamPartner& partner) {
  prong_connection connection{.runtime = runtime_,
                              .connection = partner.peer().connection,
                              .address = partner.peer().address,
                              .partner = &partner};
  runtime_->module().serve(runtime_->state(), &connection);
  connection.partner = nullptr;
  Callback::check();
}

std::optional<os::TimePoint> Streams::do_housekeeping(os::TimePoint now) {
  runtime_->keep_house(now);
  return std::nullopt;
}

void connection_peer(prong_connection* connection, prong_address* address) {
  const net::Endpoint peer = net::Endpoint::of(connection->address);
  if (connection->address_text.empty()) connection->address_text = net::to_text(peer.address);
  const prong_address full{.size = address->size, .port = peer.port, .address = to_text(connection->address_text)};
  std::memcpy(address, &full, std::min<std::size_t>(address->size, sizeof full));
}

std::size_t send(prong_connection* connection, prong_text bytes) {
  if (connection->closes || connection->is_cut || connection->partner != nullptr) return 0;
  std::string_view rest = to_view(bytes);
  if (connection->reply != nullptr && connection->outbox.empty()) {
    const std::string_view now = rest.substr(0, connection->reply->room());
    connection->reply->send(now);
    rest.remove_prefix(now.size());
    if (rest.empty() && connection->reply->room() > 0) return connection->reply->room();
  }
  connection->outbox.append(rest);
  if (connection->reply == nullptr) wake(*connection);
  if (const std::size_t waiting = connection->outbox.size(); waiting > connection->runtime->settings().most_output) {
    (void)connection->outbox.take();
    connection->runtime->complain_of_slow_client(connection->address, waiting);
    cut(connection);
    return 0;
  }
  const std::size_t room = connection->reply != nullptr ? connection->reply->room() : connection->room;
  const std::size_t left = connection->outbox.size() < room ? room - connection->outbox.size() : 0;
  if (left == 0) connection->is_full = true;
  return left;
}

void close(prong_connection* connection) {
  if (connection->partner != nullptr || std::exchange(connection->closes, true)) return;
  if (connection->reply == nullptr) wake(*connection);
}

void cut(prong_connection* connection) {
  if (connection->partner != nullptr) return connection->partner->cut();
  if (std::exchange(connection->is_cut, true)) return;
  if (connection->reply == nullptr) connection->runtime->cut(connection->connection);
}

void want_data(prong_connection* connection, bool wanted) {
  if (connection->partner != nullptr) return;
  connection->wants_data = wanted;
  connection->is_paused = !wanted;
  if (connection->reply == nullptr) wake(*connection);
}

std::ptrdiff_t read(prong_connection* connection, char* buffer, std::size_t size, std::uint64_t timeout_ns,
                    std::uint32_t flags) {
  using Received = StreamPartner::Received;
  if (connection->partner == nullptr) return PRONG_NOT_HERE;
  if (size == 0) return PRONG_INVALID;
  // Beyond what a deadline can be is for ever.
  constexpr std::uint64_t kLongest = std::uint64_t{1} << 60U;
  std::optional<std::chrono::nanoseconds> timeout;
  if (timeout_ns > 0 && timeout_ns < kLongest)
    timeout = std::chrono::nanoseconds{static_cast<std::int64_t>(timeout_ns)};
  const auto at_drain = (flags & PRONG_OR_DRAIN) != 0 ? StreamPartner::AtDrain::kReturn : StreamPartner::AtDrain::kGoOn;
  std::size_t got = 0;
  switch (connection->partner->read(std::span(buffer, size), got, timeout, at_drain)) {
    case Received::kData:
      return static_cast<std::ptrdiff_t>(got);
    case Received::kEnd:
      return PRONG_END;
    case Received::kTimeout:
      return PRONG_TIMEOUT;
    case Received::kDraining:
      return PRONG_DRAINING;
    case Received::kGone:
      break;
  }
  return PRONG_GONE;
}

int write(prong_connection* connection, prong_text bytes) {
  if (connection->partner == nullptr) return PRONG_NOT_HERE;
  return connection->partner->write(to_view(bytes)) ? PRONG_OK : PRONG_GONE;
}

}  // namespace prong::app::module
