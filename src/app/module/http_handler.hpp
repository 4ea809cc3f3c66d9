// A module that answers HTTP requests, as a handler: one for each application thread.
#pragma once

#include <memory>

#include "app/module/exchange.hpp"
#include "app/module/runtime.hpp"
#include "http/handler.hpp"

namespace prong::app::module {

class HttpHandler final : public http::Handler {
 public:
  // Borrowed.
  explicit HttpHandler(Runtime& runtime) : runtime_(&runtime) {}

  // In `event` it asks the module. Elsewhere the I/O thread runs no code of the module: bodies are kept, and the module
  // is asked on its own thread, when they have come.
  [[nodiscard]] http::BodyUse body_use(const http::Request& request) override;
  [[nodiscard]] std::unique_ptr<http::BodySink> body_sink(const http::Request& request) override;
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override;
  // On an application thread: timers and posted functions.
  [[nodiscard]] std::optional<os::TimePoint> do_housekeeping(os::TimePoint now) override;

 private:
  [[nodiscard]] http::Answer call(const http::Request& request, const HostRequest& host, void* upload);
  [[nodiscard]] http::Answer call_with_kept_body(const http::Request& request, const HostRequest& host);

  Runtime* runtime_;
  Scratch scratch_;
  std::unique_ptr<http::BodySink> next_sink_;  // between body_use() and body_sink()
};

}  // namespace prong::app::module
