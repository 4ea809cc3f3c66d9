// The border between the protocol and what a worker runs: an application answers requests and knows neither sockets
// nor processes; a session speaks HTTP and knows no application.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "os/unique_fd.hpp"

namespace prong::http {

struct Header {
  std::string name;
  std::string value;
};

// One request whose header has arrived whole. The views live until the handler returns.
struct Request {
  std::string_view method;   // as sent: "GET"
  std::string_view target;   // as sent: "/a%20b?x=1"
  std::string_view path;     // the target up to the '?', still percent-encoded
  std::string_view query;    // after the '?', or empty
  std::uint8_t version_minor = 1;
  const std::vector<Header>* headers = nullptr;

  // The value of the first header of that name (compared without case), or nothing.
  [[nodiscard]] const std::string* header(std::string_view name) const;
};

// A part of a file, sent by sendfile(2). The descriptor is closed when the response is gone.
struct FileBody {
  os::UniqueFd file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// A whole answer. The session adds Date, Server, Content-Length and Connection, and leaves the body out for HEAD.
struct Response {
  std::uint16_t status = 200;
  std::vector<Header> headers = {};
  std::variant<std::string, FileBody> body = {};
};

// What a worker runs for each request. Called on one thread at a time, never blocks in `event` concurrency.
class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  [[nodiscard]] virtual Response handle(const Request& request) = 0;
};

}  // namespace prong::http
