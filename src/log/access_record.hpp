// What one line of an access log is made of, in the words of no protocol implementation: the worker fills it in, since
// log/ knows neither sessions nor connections (design.md section 3).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace prong::log {

// A way to the fields of a head that copies nothing: a plain pointer and a function, because each line asks for two or
// three names and std::function would cost more than the search. The default knows no field.
class HeaderLookup {
 public:
  // The value of the first field of that name, compared without case; empty when there is none.
  using Find = std::string_view (*)(const void* context, std::string_view name);

  HeaderLookup() = default;
  HeaderLookup(Find find, const void* context) : find_(find), context_(context) {}
  // Of anything with `find(std::string_view) -> std::optional<std::string_view>`. Borrowed.
  template <class Headers>
  [[nodiscard]] static HeaderLookup of(const Headers& headers) {
    return {[](const void* context, std::string_view name) {
              return static_cast<const Headers*>(context)->find(name).value_or(std::string_view{});
            },
            &headers};
  }

  [[nodiscard]] std::string_view operator()(std::string_view name) const {
    return find_ == nullptr ? std::string_view{} : find_(context_, name);
  }

 private:
  Find find_ = nullptr;
  const void* context_ = nullptr;
};

// What is known when an answer begins. Every view is borrowed for the one call of AccessLog::begin(). What is empty is
// not known (a request that could not be read, a client on a UNIX socket) and becomes `-`, or null in json.
struct AccessRecord {
  std::string_view client = {};                     // its address without a port: "192.0.2.7", "2001:db8::1"
  std::uint16_t client_port = 0;                    // 0: it has none
  std::string_view peer = {};                       // who has the connection: the client, or a proxy
  std::uint16_t peer_port = 0;                      // 0: it has none
  std::string_view scheme = {};                     // "http" or "https"
  std::string_view listener = {};                   // the address that was accepted from, as the configuration names it
  std::string_view method = {};                     // empty when the request line could not be read
  std::string_view target = {};                     // as it was sent
  std::string_view path = {};                       // of the target, percent-encoded as it was sent
  std::string_view query = {};                      // of the target, after the '?'
  std::optional<std::uint8_t> protocol_minor = {};  // of HTTP/1.x
  std::string_view host = {};                       // of the target or of the Host field
  std::uint16_t status = 0;                         // 0: none was sent
  std::uint64_t connection = 0;                     // counts the worker's connections from 1
  std::uint64_t request_number = 0;                 // counts the connection's requests from 1
  std::chrono::system_clock::time_point time = {};  // of the request's first byte
  HeaderLookup request_headers = {};
  HeaderLookup response_headers = {};
};

enum class Completeness : std::uint8_t { kWhole, kCut };

// What is known when the last byte of an answer was handed to the kernel, or the connection was cut.
struct AccessResult {
  std::uint64_t body_bytes = 0;                // of the body, as sent (with the framing of chunks)
  std::uint64_t bytes = 0;                     // all that was sent, with the head
  std::uint64_t service_us = 0;                // from the request's first byte to the answer's last, microseconds
  std::optional<std::uint64_t> queue_us = {};  // that the connection waited to be accepted; nothing: not known
  Completeness completeness = Completeness::kWhole;
};

}  // namespace prong::log
