// The border between the protocol and what a worker runs: an application answers requests and knows neither sockets
// nor processes; a session speaks HTTP and knows no application.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "http/headers.hpp"
#include "http/request_body.hpp"
#include "net/ip_address.hpp"
#include "net/output.hpp"
#include "os/clock.hpp"

namespace prong::http {

using net::FileBody;
using net::SharedText;

class BodySink;
struct EarlyAnswer;
struct ProxyTrust;

// One request that has arrived as far as the handler asked for. The views live until the handler returns.
struct Request {
  std::string_view method = {};  // as sent: "GET"
  std::string_view target = {};  // as sent: "/a%20b?x=1", "http://host/a%20b?x=1", or "*"
  std::string_view host = {};    // of the target if it names one, else of the Host field; empty if neither does
  // The target's path, still percent-encoded: "/a%20b"; "*" for OPTIONS of the whole server. To an application that
  // stands below a prefix, without it: "/b" or "" for "/shop/b" and "/shop".
  std::string_view path = {};
  std::string_view prefix = {};  // that part of the path, as it was sent: "/shop"; empty: the application has all
  std::string_view query = {};   // after the '?', or empty
  std::uint8_t version_minor = 1;
  RequestHeaders headers = {};
  // The whole body when body_use() asked for it, empty for a request without one; may be moved from. nullptr while
  // body_use() is asked, and when it did not ask.
  RequestBody* body = nullptr;
  BodySink* sink = nullptr;             // in handle(): what has taken the body, if body_use() said kPass
  net::Endpoint peer = {};              // the other end of the connection: the client, or a proxy
  net::Endpoint listener = {};          // what it was accepted from, often the address of all interfaces
  const ProxyTrust* proxies = nullptr;  // the peer is a proxy that is trusted: for origin_of() (http/origin.hpp)
  // Names the connection to whoever owns it: where an answer that comes later belongs.
  std::uint64_t connection = 0;
  // For an application that wants bytes sent before it returns. nullptr: it cannot be done, as on the I/O thread.
  EarlyAnswer* early = nullptr;
};

// A body that is made while it is sent. The session asks for more only when little of it waits (back-pressure).
// Destroyed when it has ended, when the client is gone, or when nobody wants it (HEAD).
class BodySource {
 public:
  enum class State : std::uint8_t {
    kMore,    // there is more: ask again when there is room
    kWait,    // nothing now: the session is to be resumed when there is
    kEnd,     // that was all
    kFailed,  // it cannot go on: the connection is cut, which tells the client that the body is not whole
  };

  BodySource() = default;
  BodySource(const BodySource&) = delete;
  BodySource& operator=(const BodySource&) = delete;
  BodySource(BodySource&&) = delete;
  BodySource& operator=(BodySource&&) = delete;
  virtual ~BodySource() = default;

  // Appends up to `most` bytes (more than 0) to `into`, without blocking in `event` concurrency.
  [[nodiscard]] virtual State read(std::string& into, std::size_t most) = 0;
  // In place of the next read(): bytes that are there and need not be copied, more than kMostBorrowedAndCopied; or
  // nothing, and read() is asked. As many as there are at once, since copying only a part of them saves no memory.
  // A source that stands for another one asks that one.
  [[nodiscard]] virtual SharedText lend() { return {}; }
  // Its size if it is known; asked once, before the first read(). Then the answer says Content-Length, else it is sent
  // in chunks (HTTP/1.0: up to the end of the connection). A source that ends before its size is cut; what it gives
  // beyond it is dropped.
  [[nodiscard]] virtual std::optional<std::uint64_t> size() const noexcept { return std::nullopt; }
};

using BodyPart = std::variant<std::string, FileBody>;

// A string_view is borrowed from the handler: it must live until the answer is handed to the session, if it has at most
// kMostBorrowedAndCopied bytes, which are copied; else as long as the handler.
using net::kMostBorrowedAndCopied;
using Body = std::variant<std::string, std::string_view, SharedText, FileBody, std::vector<BodyPart>,
                          std::unique_ptr<BodySource>>;

// A whole answer, or at least its head. The session adds Date, Server, Content-Length or Transfer-Encoding, and
// Connection, and leaves the body out for HEAD.
struct Response {
  std::uint16_t status = 200;
  bool has_server_field = false;  // the headers say Server: the session does not
  ResponseHeaders headers = {};
  Body body = {};
};

// An answer that is sent while its handler goes on. Once it has begun, what the handler returns is not looked at, and
// an exception cuts the connection.
struct EarlyAnswer {
  bool has_begun = false;
  // Once. Of the body, which write() gives, only the size is said, if it is known.
  std::function<void(Response head, std::optional<std::uint64_t> size)> begin = {};
  // The bytes are on their way when it returns, whatever the handler does then; it waits for a client that is too far
  // behind. False: nobody wants them any more.
  std::function<bool(std::string_view bytes)> write = {};
};

// The answer will be given to Session::answer(); until then the connection reads no further request.
struct Later {};
using Answer = std::variant<Response, Later>;

enum class BodyUse : std::uint8_t {
  kDrop,  // read and thrown away; who waits for 100 (Continue) gets the answer instead
  kKeep,  // collected, and handle() is called when it is whole
  kPass,  // given to body_sink() as it comes, and handle() is called when all of it has come
};

// Takes the body of one request piece by piece, on the thread that called Handler::body_sink(). Destroyed when the
// request has its answer, or will get none.
class BodySink {
 public:
  enum class Wants : std::uint8_t {
    kMore,
    kNothing,  // it has seen enough: handle() is called now, and the connection ends with the answer
  };

  BodySink() = default;
  BodySink(const BodySink&) = delete;
  BodySink& operator=(const BodySink&) = delete;
  BodySink(BodySink&&) = delete;
  BodySink& operator=(BodySink&&) = delete;
  virtual ~BodySink() = default;

  // At least one byte, cut anywhere. An exception becomes the answer 500.
  [[nodiscard]] virtual Wants take(std::string_view bytes) = 0;
};

// Descriptors that a handler needs, so that a worker accepts no more connections than it can serve.
struct DescriptorNeeds {
  std::size_t held = 0;        // at any time: a root, a cache
  std::size_t per_answer = 1;  // while one answer is made and sent: a file, a stored body, a spool
};

// What a worker runs for each request. In `event` concurrency it is called on the worker's I/O thread and must not
// block; in `thread` and `process` each application thread has a handler of its own, which may. An exception becomes
// the answer 500.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  Handler(Handler&&) = delete;
  Handler& operator=(Handler&&) = delete;
  virtual ~Handler() = default;

  // Asked when the head of a request with a body is whole; always on the I/O thread, even while another thread is in
  // handle().
  [[nodiscard]] virtual BodyUse body_use(const Request& /*request*/) { return BodyUse::kDrop; }
  // Called once after body_use() said kPass. Never nullptr.
  [[nodiscard]] virtual std::unique_ptr<BodySink> body_sink(const Request& /*request*/) { return nullptr; }
  [[nodiscard]] virtual Answer handle(const Request& request) = 0;
  [[nodiscard]] virtual DescriptorNeeds descriptor_needs() const { return {}; }
  // Does what has become due by `now` (what a cache held too long), and says when it wants to be called again; nothing:
  // not before the next request. Called between requests.
  [[nodiscard]] virtual std::optional<os::TimePoint> do_housekeeping(os::TimePoint /*now*/) { return std::nullopt; }
};

}  // namespace prong::http
