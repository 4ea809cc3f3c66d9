// The border between a connection that speaks no HTTP and what a worker runs on it: an application takes bytes and
// sends bytes, and knows neither sockets nor processes nor threads.
//
// An application is a StreamHandler, which makes one Stream for each connection; what it keeps of a connection, it
// keeps in there. The events of one connection come in order and never two at once: open(), then receive() and
// send_more() any number of times, receive_end() at most once, and at last the destructor. (Refused: one object that
// looks its connections up by a number. Every application would begin with the same table, under the same lock.)
//
// On which thread they come is the pool's `concurrency`: in `event` all on the I/O thread, and none may block; in
// `process` all on the one application thread; in `thread` on any of several, so that open(), and what streams share,
// must be safe to use from several threads at once, while a Stream itself is with one at a time.
//
// Nothing is without bounds: a client's next bytes are read only when the application has taken the ones before and has
// little to send; whoever has more to send than StreamReply::room() says so with StreamReply::wants_to_send_more().
//
// Code that waits for its client talks in another way, in `process` and `thread`: StreamHandler::converse() is called
// once for a connection, with a StreamPartner that has functions to read and write.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "net/output.hpp"
#include "os/clock.hpp"
#include "os/socket.hpp"

namespace prong::app {

// Whose connection it is.
struct StreamPeer {
  std::uint64_t connection = 0;  // its name in this worker, not used again as long as it is open
  os::SocketAddress address = {};
};

// What an application says in one event. Lives for the time of the call.
class StreamReply {
 public:
  // `room`: how many bytes may still wait for the client to take them.
  StreamReply(net::Output& output, std::size_t room) : output_(&output), room_(room) {}

  // Sends bytes behind those that were sent before; never blocks. The first copies, the second takes over.
  void send(std::string_view bytes) {
    if (!bytes.empty()) output_->text() += bytes;
    take_room(bytes.size());
  }
  void send_owned(std::string bytes) {
    take_room(bytes.size());
    output_->append(std::move(bytes));
  }
  // How much more it is wise to send now. More is taken all the same, and waits in memory.
  [[nodiscard]] std::size_t room() const { return room_; }
  // There is more to send: Stream::send_more() is called when the client has taken what waits.
  void wants_to_send_more() { more_ = true; }
  // The same for who may have nothing to send by then.
  void wants_room() { wants_room_ = true; }
  // Whether bytes of the client are to be read from now on; until it is said again.
  void want_data(bool wanted) { wants_data_ = wanted; }
  // Ends the connection now, with a reset.
  void cut() { cut_ = true; }
  // Ends the connection when everything has been sent; of the client nothing is read any more.
  void close() { close_ = true; }

  [[nodiscard]] bool more() const { return more_; }
  [[nodiscard]] bool room_wanted() const { return wants_room_; }
  [[nodiscard]] std::optional<bool> data_wanted() const { return wants_data_; }
  [[nodiscard]] bool cuts() const { return cut_; }
  [[nodiscard]] bool closes() const { return close_; }

 private:
  void take_room(std::size_t size) { room_ -= size < room_ ? size : room_; }

  net::Output* output_;
  std::size_t room_;
  bool more_ = false;
  bool close_ = false;
  bool wants_room_ = false;
  bool cut_ = false;
  std::optional<bool> wants_data_ = {};  // nothing: as before
};

// One connection, as its application sees it. Destroyed when the connection is gone, whoever ended it. An exception
// cuts the connection with a reset and is told in the log.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  Stream(Stream&&) = delete;
  Stream& operator=(Stream&&) = delete;
  virtual ~Stream() = default;

  // Bytes of the client, at least one, cut anywhere. They live for the time of the call.
  virtual void receive(std::string_view bytes, StreamReply& reply) = 0;
  // The client will send no more (it may still read). Unless this is overridden, the connection ends.
  virtual void receive_end(StreamReply& reply) { reply.close(); }
  // There is room for what wants_to_send_more() was about, or that wants_room() asked for. To send nothing and to want
  // to send more is a failure.
  virtual void send_more(StreamReply& /*reply*/) {}
};

// The client, for code that waits for it. Used by one thread, while converse() runs.
class StreamPartner {
 public:
  enum class Received : std::uint8_t {
    kData,
    kEnd,       // the client will send no more
    kTimeout,   // nothing came in time
    kDraining,  // nothing has come, and the worker drains
    kGone,      // the connection is lost
  };
  enum class AtDrain : std::uint8_t { kGoOn, kReturn };

  StreamPartner() = default;
  StreamPartner(const StreamPartner&) = delete;
  StreamPartner& operator=(const StreamPartner&) = delete;
  StreamPartner(StreamPartner&&) = delete;
  StreamPartner& operator=(StreamPartner&&) = delete;
  virtual ~StreamPartner() = default;

  // Waits for bytes, at most so long (nothing: as long as the pool lets a client be silent); kReturn: and not while the
  // worker drains. How many bytes have come goes to `size`; only with kData it is more than 0.
  [[nodiscard]] virtual Received read(std::span<char> buffer, std::size_t& size,
                                      std::optional<std::chrono::nanoseconds> timeout, AtDrain at_drain) = 0;
  // Takes the bytes, and waits while too many wait for the client. False: the connection is lost.
  [[nodiscard]] virtual bool write(std::string_view bytes) = 0;
  // Ends the connection with a reset when converse() returns. Without it, everything is sent first.
  virtual void cut() = 0;
  [[nodiscard]] virtual const StreamPeer& peer() const = 0;
};

// What a worker runs on each connection.
class StreamHandler {
 public:
  StreamHandler() = default;
  StreamHandler(const StreamHandler&) = delete;
  StreamHandler& operator=(const StreamHandler&) = delete;
  StreamHandler(StreamHandler&&) = delete;
  StreamHandler& operator=(StreamHandler&&) = delete;
  virtual ~StreamHandler() = default;

  // A connection has come; what is sent now comes before the client has said anything. Never nullptr. The handler
  // outlives its streams.
  [[nodiscard]] virtual std::unique_ptr<Stream> open(const StreamPeer& peer, StreamReply& reply) = 0;
  // Whether it converses in place of that, outside of `event`.
  [[nodiscard]] virtual bool converses() const { return false; }
  // Talks with one client on an application thread, and returns when it is done; then the connection is closed. In
  // `thread` on several threads at once.
  virtual void converse(StreamPartner& /*partner*/) {}
  // Between two events, on an application thread; see http::Handler::do_housekeeping().
  [[nodiscard]] virtual std::optional<os::TimePoint> do_housekeeping(os::TimePoint /*now*/) { return std::nullopt; }
};

}  // namespace prong::app
