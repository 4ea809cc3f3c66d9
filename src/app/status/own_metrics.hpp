// What modules count themselves, as metrics: each under the name that its module gave it, with the label "pool" before
// the labels of its own.
#pragma once

#include <vector>

#include "app/status/metrics_text.hpp"
#include "ipc/control.hpp"

namespace prong::app {

// Pools whose metrics have one name are one family. Where they cannot be, because the kinds differ or one has names
// that the other takes (ipc::names_taken_by()), those of the first pool are told, and of each other pool that some are
// left out.
void tell_own_metrics(const std::vector<ipc::PoolReport>& pools, MetricsText& text);

}  // namespace prong::app
