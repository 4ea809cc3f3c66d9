// One connection's entries of the access log: told by the session which answers there are, and by the connection how
// far the client has them. Exists only where a pool has an access log.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/handler.hpp"
#include "log/access_log.hpp"
#include "net/ip_address.hpp"
#include "os/clock.hpp"
#include "os/socket.hpp"

namespace prong::worker {

// Whose connection it is, and where it came in.
struct Peer {
  os::SocketAddress address = {};
  std::string_view listener = {};    // as the configuration names it; outlives the connection
  net::Endpoint accepted_from = {};  // the same as it is bound
  std::uint64_t number = 0;          // of the worker's connections, from 1
  // From the client's first bytes to accept(); nothing: not known (a UNIX socket).
  std::optional<std::chrono::microseconds> queue_time = {};
};

class AnswerLog {
 public:
  // `log` is borrowed.
  AnswerLog(log::AccessLog& log, const Peer& peer);

  // Bytes of the client are here.
  void note_read(os::TimePoint now);
  // The first of a request are among the last that were read.
  void note_request();
  // As http::Observer says.
  void answer_begins(const http::Request& request, const http::Response& response, std::uint64_t begin,
                     std::uint64_t body_begin);
  void answer_ends(std::uint64_t end);
  // The kernel has taken everything up to that place in the stream of answers.
  void note_sent(std::uint64_t sent, os::TimePoint now);
  // The connection is over, having sent that much: what was under way has been cut.
  void note_end(std::uint64_t sent, os::TimePoint now);

 private:
  struct Entry {
    log::AccessLine line;
    std::uint64_t begin = 0;
    std::uint64_t body_begin = 0;
    std::optional<std::uint64_t> end = {};  // nothing: the body is being made
    os::TimePoint started = {};
  };
  void finish(Entry& entry, std::uint64_t end, log::Completeness completeness, os::TimePoint now);

  log::AccessLog* log_;
  std::string peer_;
  std::uint16_t peer_port_;
  std::string_view listener_;
  std::uint64_t connection_;
  std::optional<std::uint64_t> queue_us_;  // of the next answer
  std::uint64_t requests_ = 0;
  struct Moment {
    os::TimePoint time = {};
    std::chrono::system_clock::time_point date = {};
  };
  Moment read_ = {};                 // the last bytes
  Moment started_ = {};              // the first byte of the current request
  std::vector<Entry> entries_ = {};  // of answers that are on their way, oldest first; more than one with pipelining
};

}  // namespace prong::worker
