// A request and its answer as the C ABI sees them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <forward_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/module/runtime.hpp"
#include "app/percent.hpp"
#include "http/handler.hpp"
#include "prong/module.h"

namespace prong::app::module {

// What answers are made in, kept from one to the next so that a small one costs no allocation.
struct Scratch {
  http::ResponseHeaders headers = {};
  std::string body = {};
};

// The head of a request, and what its functions need. Lives as long as the callback.
class HostRequest : public prong_request {
 public:
  explicit HostRequest(const http::Request& request);

  [[nodiscard]] static const HostRequest& of(const prong_request* request) {
    // Modules get no others. NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast)
    return *static_cast<const HostRequest*>(request);
  }
  [[nodiscard]] const http::Request& request() const { return *request_; }
  // Keeps a text as long as the request.
  [[nodiscard]] prong_text keep(std::string text) const;

  // Where query_at() stands: the pair of that index is the next of what is left.
  struct QueryPlace {
    std::size_t index = 0;
    std::string_view rest = {};
  };
  [[nodiscard]] QueryPlace& query_place() const { return query_place_; }

 private:
  const http::Request* request_;
  mutable QueryPlace query_place_;
  mutable std::forward_list<std::string> kept_;
};

[[nodiscard]] inline std::string_view to_view(prong_text text) {
  return {text.data, text.size};
}
[[nodiscard]] inline prong_text to_text(std::string_view text) {
  return {.data = text.data(), .size = text.size()};
}

// Percent-decoded.
[[nodiscard]] std::string decoded(std::string_view text, Plus plus);

}  // namespace prong::app::module

// One request that wants an answer: on the stack of the handler while request() runs, or deferred.
struct prong_exchange {
  prong::app::module::Runtime* runtime = nullptr;
  std::uint64_t connection = 0;
  prong::app::module::Scratch* scratch = nullptr;  // nullptr: the answer owns what it has
  std::optional<prong::http::Response> response = {};
  bool is_deferred = false;  // this is the later one
  bool is_over = false;      // it was answered, or deferred away
  bool was_deferred = false;
  bool is_gone = false;  // nobody waits
  void (*on_gone)(void* context) = nullptr;
  void* gone_context = nullptr;
};

namespace prong::app::module {

// The functions of the C ABI: prong_api has what they do and give.
int respond(prong_exchange* exchange, const prong_response* response);
int respond_file(prong_exchange* exchange, const prong_response* head, int descriptor, std::uint64_t offset,
                 std::uint64_t length);
int respond_stream(prong_exchange* exchange, const prong_response* head, const prong_source* source);
void body_write(prong_body* body, prong_text bytes);
void body_resume(prong_body* body);
prong_exchange* defer(prong_exchange* exchange);
void drop(prong_exchange* exchange);

}  // namespace prong::app::module
