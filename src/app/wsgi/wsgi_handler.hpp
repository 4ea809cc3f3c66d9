// A Python application as a handler: one for each application thread, all for the same application object.
#pragma once

#include <memory>
#include <optional>

#include "app/wsgi/answer.hpp"
#include "app/wsgi/environ.hpp"
#include "app/wsgi/file_wrapper.hpp"
#include "app/wsgi/input.hpp"
#include "app/wsgi/python.hpp"
#include "app/wsgi/start_response.hpp"
#include "http/handler.hpp"

namespace prong::app::wsgi {

// What the handlers of a process share. Made with the interpreter lock; lives as long as the interpreter.
struct Host {
  Ref application;
  EnvironSettings environ;
  InputType inputs;
  StartResponseType start_responses;
  FileWrapperType file_wrappers;
  Lent lent = {};
};

class WsgiHandler final : public http::Handler {
 public:
  // Called with the interpreter lock given up, on any thread. The host is borrowed. Throws.
  explicit WsgiHandler(Host& host) : host_(&host) {
    const Locked locked;
    environs_ = std::make_unique<EnvironBuilder>(host.environ, host.file_wrappers.type(), host.inputs);
  }
  WsgiHandler(const WsgiHandler&) = delete;
  WsgiHandler& operator=(const WsgiHandler&) = delete;
  ~WsgiHandler() override {
    const Locked locked;
    environs_.reset();
  }

  [[nodiscard]] http::BodyUse body_use(const http::Request& /*request*/) override { return http::BodyUse::kKeep; }
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  // A stored body, beside what is sent.
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override { return {.held = 0, .per_answer = 2}; }
  [[nodiscard]] std::optional<os::TimePoint> do_housekeeping(os::TimePoint now) override;

 private:
  [[nodiscard]] http::Answer call(const http::Request& request);

  Host* host_;
  std::unique_ptr<EnvironBuilder> environs_;  // with objects that end under the lock
};

}  // namespace prong::app::wsgi
