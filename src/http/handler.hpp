// The border between the protocol and what a worker runs: an application answers requests and knows neither sockets
// nor processes; a session speaks HTTP and knows no application.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "http/headers.hpp"
#include "os/unique_fd.hpp"

namespace prong::http {

// One request that has arrived whole. The views live until the handler returns.
struct Request {
  std::string_view method;  // as sent: "GET"
  std::string_view target;  // as sent: "/a%20b?x=1", "http://host/a%20b?x=1", or "*"
  std::string_view host;    // of the target if it names one, else of the Host field; empty if neither does
  std::string_view path;    // the target's path, still percent-encoded: "/a%20b"; "*" for OPTIONS of the whole server
  std::string_view query;   // after the '?', or empty
  std::uint8_t version_minor = 1;
  RequestHeaders headers = {};
};

// A part of a file, sent by sendfile(2). The descriptor is closed when the answer is gone.
struct FileBody {
  os::UniqueFd file = {};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// A whole answer. The session adds Date, Server, Content-Length and Connection, and leaves the body out for HEAD.
struct Response {
  std::uint16_t status = 200;
  ResponseHeaders headers = {};
  std::variant<std::string, FileBody> body = {};
};

// What a worker runs for each request. Called on one thread at a time, never blocks in `event` concurrency. An
// exception becomes the answer 500.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  Handler(Handler&&) = delete;
  Handler& operator=(Handler&&) = delete;
  virtual ~Handler() = default;

  [[nodiscard]] virtual Response handle(const Request& request) = 0;
};

}  // namespace prong::http
