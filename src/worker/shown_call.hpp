// What the scoreboard's cell of an application thread says while the application is called.
#pragma once

#include <cstdint>
#include <memory>

#include "http/handler.hpp"
#include "ipc/thread_cell.hpp"
#include "net/ip_address.hpp"
#include "os/clock.hpp"

namespace prong::worker {

// Method, target and peer of a request; the rest is the caller's. Its views are the request's.
[[nodiscard]] ipc::Call call_of(const http::Request& request);
[[nodiscard]] ipc::PeerBytes peer_bytes(const net::Endpoint& peer);

// In `event`: the cell of the I/O thread, which makes all calls itself. The clock is borrowed (Books::clock), so that
// no call costs a look at it.
class ShownCalls {
 public:
  ShownCalls(ipc::ThreadCell& cell, const os::TimePoint& clock) : cell_(&cell), clock_(&clock) {}

  // Of the call: its phase and what it is about.
  void begin(ipc::Call call) {
    call.number = ++last_number_;
    call.since = *clock_;
    cell_->begin(call);
  }
  void end() { cell_->end(*clock_); }

 private:
  ipc::ThreadCell* cell_;
  const os::TimePoint* clock_;
  std::uint64_t last_number_ = 0;
};

// One call, which goes on as long as this lives.
class ShownCall {
 public:
  // `calls`: nullptr if they are not shown.
  ShownCall(ShownCalls* calls, const ipc::Call& call) : calls_(calls) {
    if (calls_ != nullptr) calls_->begin(call);
  }
  ShownCall(const ShownCall&) = delete;
  ShownCall& operator=(const ShownCall&) = delete;
  ~ShownCall() {
    if (calls_ != nullptr) calls_->end();
  }

 private:
  ShownCalls* calls_;
};

// If the application makes the body of this answer while it is sent, it is shown whenever it does. `calls` is borrowed
// by the body; of the request method, target and peer matter.
void show_body(http::Response& response, ShownCalls& calls, const http::Request& request);

// The application's handler, with each request that it gets shown, and each part of a body that it makes while it is
// sent. Both are borrowed, also by such bodies.
class ShownHandler final : public http::Handler {
 public:
  ShownHandler(http::Handler& handler, ShownCalls& calls) : handler_(&handler), calls_(&calls) {}

  [[nodiscard]] http::BodyUse body_use(const http::Request& request) override;
  [[nodiscard]] std::unique_ptr<http::BodySink> body_sink(const http::Request& request) override;
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override { return handler_->descriptor_needs(); }
  [[nodiscard]] std::optional<os::TimePoint> do_housekeeping(os::TimePoint now) override {
    return handler_->do_housekeeping(now);
  }

 private:
  [[nodiscard]] http::Answer handle_with_sink(const http::Request& request);

  http::Handler* handler_;
  ShownCalls* calls_;
};

}  // namespace prong::worker
