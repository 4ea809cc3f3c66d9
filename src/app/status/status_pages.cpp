#include "app/status/status_pages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "app/status/metrics.hpp"
#include "app/status/page.hpp"

namespace prong::app {
namespace {

constexpr std::string_view kPlain = "text/plain; charset=utf-8";

http::Response answer(std::uint16_t status, std::string_view type, http::Body body) {
  http::Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.add("Content-Type", type);
  response.headers.add("Cache-Control", "no-store");
  response.headers.add("X-Content-Type-Options", "nosniff");
  return response;
}

http::Response plain(std::uint16_t status, std::string_view text) {
  return answer(status, kPlain, fmt::format("{}\n", text));
}

http::Response unavailable(const Error& error) {
  return plain(503, error.text());
}

http::Response page() {
  http::Response response = answer(200, "text/html; charset=utf-8", kStatusPage);
  response.headers.add("Content-Security-Policy", kStatusPageSecurityPolicy);
  response.headers.add("Referrer-Policy", "no-referrer");
  return response;
}

// The page asks for what stands beside it, so that it needs a path that ends in '/'.
http::Response to_folder(const http::Request& request) {
  http::Response response = plain(308, "the page stands at a path that ends in /");
  response.headers.add("Location", fmt::format("{}/", request.prefix));
  return response;
}

}  // namespace

http::Answer StatusPages::handle(const http::Request& request) {
  constexpr std::array<std::string_view, 5> kPaths{"/", "/metrics", "/healthz", "/readyz", "/status.json"};
  const bool is_known = request.path.empty() || std::ranges::find(kPaths, request.path) != kPaths.end();
  if (!is_known) return plain(404, "there is /, /metrics, /healthz, /readyz and /status.json");
  if (request.method != "GET" && request.method != "HEAD") {
    http::Response refused = plain(405, "this can be read, and nothing else");
    refused.headers.add("Allow", "GET, HEAD");
    return refused;
  }
  if (request.path.empty()) return to_folder(request);
  if (request.path == "/") return page();
  if (request.path == "/metrics") return metrics(request);
  if (request.path == "/healthz") return health();
  if (request.path == "/readyz") return readiness();
  return status();
}

http::Response StatusPages::metrics(const http::Request& request) {
  auto daemon = ask();
  if (!daemon) return unavailable(daemon.error());
  const MetricsFormat format = choose_metrics_format(request.headers);
  http::Response response = answer(200, content_type_of(format), metrics_of(**daemon, format));
  response.headers.add("Vary", "Accept");
  return response;
}

// The question that costs the master the least.
http::Response StatusPages::health() {
  const auto line = master_->ask({.verb = ipc::ControlVerb::kVersion}, kPatience);
  if (!line) return unavailable(line.error());
  if (auto version = ipc::parse_version_answer(*line); !version) return unavailable(version.error());
  return plain(200, "ok");
}

http::Response StatusPages::readiness() {
  auto daemon = ask();
  if (!daemon) return unavailable(daemon.error());
  if (const auto why = why_not_ready(**daemon)) return plain(503, *why);
  return plain(200, "ready");
}

http::Response StatusPages::status() {
  auto daemon = ask();
  if (!daemon) return unavailable(daemon.error());
  return answer(200, "application/json", ipc::to_json_text(**daemon));
}

Result<StatusPages::Report> StatusPages::ask() {
  const os::TimePoint now = os::now();
  if (last_ && now - last_at_ < kFreshness) return last_;
  const auto line = master_->ask({.verb = ipc::ControlVerb::kWorkers}, kPatience);
  if (!line) return failure(line.error());
  auto daemon = ipc::parse_daemon_report(*line);
  if (!daemon) return failure(std::move(daemon.error()));
  last_ = std::make_shared<const ipc::DaemonReport>(std::move(*daemon));
  last_at_ = now;
  return last_;
}

std::optional<std::string> why_not_ready(const ipc::DaemonReport& daemon) {
  if (daemon.state == "stopping") return "the daemon is stopping";
  for (const ipc::PoolReport& pool : daemon.pools) {
    if (pool.paused) return fmt::format("pool {} is paused", pool.name);
    // One that an older configuration had wants none.
    if (pool.wanted > 0 && pool.ready + pool.busy == 0)
      return fmt::format("pool {} has no worker that is ready", pool.name);
  }
  return std::nullopt;
}

}  // namespace prong::app
