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
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "net/output.hpp"
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
  // Ends the connection when everything has been sent; of the client nothing is read any more.
  void close() { close_ = true; }

  [[nodiscard]] bool more() const { return more_; }
  [[nodiscard]] bool closes() const { return close_; }

 private:
  void take_room(std::size_t size) { room_ -= size < room_ ? size : room_; }

  net::Output* output_;
  std::size_t room_;
  bool more_ = false;
  bool close_ = false;
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
  // There is room for what wants_to_send_more() was about. To send nothing and to want more is a failure.
  virtual void send_more(StreamReply& /*reply*/) {}
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
};

}  // namespace prong::app
