// What the daemon says about itself over HTTP: `/metrics`, `/healthz`, `/readyz`, `/status.json`, and a page for people
// at `/` (docs/metrics.md). Every worker of the pool asks the master, which knows; it knows nothing itself.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "http/handler.hpp"
#include "ipc/control.hpp"
#include "ipc/control_link.hpp"
#include "os/clock.hpp"

namespace prong::app {

class StatusPages final : public http::Handler {
 public:
  // Borrowed, and must outlive it. Several handlers may share it.
  explicit StatusPages(ipc::ControlLink& master) : master_(&master) {}

  // Blocks until the master has answered, for kPatience at the most; that is also in `event`, where other clients of
  // this worker wait meanwhile. While the master owes an answer nobody waits.
  [[nodiscard]] http::Answer handle(const http::Request& request) override;
  [[nodiscard]] http::DescriptorNeeds descriptor_needs() const override { return {.held = 1, .per_answer = 0}; }

  static constexpr Duration kPatience{1000};
  // For so long one answer of the master serves all who ask, so that no number of clients keeps it busy.
  static constexpr Duration kFreshness{100};

 private:
  [[nodiscard]] http::Response metrics(const http::Request& request);
  [[nodiscard]] http::Response health();
  [[nodiscard]] http::Response readiness();
  [[nodiscard]] http::Response status();
  using Report = std::shared_ptr<const ipc::DaemonReport>;
  [[nodiscard]] Result<Report> ask();

  ipc::ControlLink* master_;
  Report last_;
  os::TimePoint last_at_;
};

// Why the daemon is not ready to serve all that it should: it stops, a pool is paused, or has no worker that is
// ready or busy.
// Nothing: it is.
[[nodiscard]] std::optional<std::string> why_not_ready(const ipc::DaemonReport& daemon);

}  // namespace prong::app
