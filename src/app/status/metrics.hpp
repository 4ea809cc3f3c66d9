// What the daemon has told, as metrics for Prometheus. docs/metrics.md says what each of them means.
#pragma once

#include <string>
#include <string_view>

#include "app/status/metrics_text.hpp"
#include "http/headers.hpp"
#include "ipc/control.hpp"

namespace prong::app {

// What a client's Accept field wants: OpenMetrics only if it names it.
[[nodiscard]] MetricsFormat choose_metrics_format(const http::RequestHeaders& headers);

// A report with its workers. Series do not grow with deaths and reloads: a worker is known by its pool and slot. Of
// two workers in one slot, while one generation follows another, the one of the generation that serves is told.
[[nodiscard]] std::string metrics_of(const ipc::DaemonReport& daemon, MetricsFormat format);

}  // namespace prong::app
