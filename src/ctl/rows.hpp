// The lines and cells in which `status`, `workers`, `metrics` and `top` show a daemon.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ctl/json_view.hpp"
#include "ctl/table.hpp"

namespace prong::ctl {

// "prongd 0.1.0, pid 412, serving, generation 3, up 2d 4h", and a second line when the last reload failed; with its
// line ends.
[[nodiscard]] std::string daemon_lines(const Json& daemon);

[[nodiscard]] const std::vector<Column>& pool_columns();
// `earlier`: an answer of the same daemon, from which rates and percentiles are worked out; nothing: they are blank.
[[nodiscard]] std::vector<std::string> pool_row(const Json& pool, const Json& daemon,
                                                const std::optional<Json>& earlier);

[[nodiscard]] const std::vector<Column>& worker_columns();
[[nodiscard]] std::vector<std::string> worker_row(const Json& worker, const Json& daemon,
                                                  const std::optional<Json>& earlier);

// What a module counts itself. The pool is the one that has it.
[[nodiscard]] const std::vector<Column>& metric_columns();
[[nodiscard]] std::vector<std::string> metric_row(const Json& metric, const Json& pool, const Json& daemon,
                                                  const std::optional<Json>& earlier);

enum class Threads : std::uint8_t { kBusy, kAll };
// "thread 2: GET /checkout?item=7 for 3.2s, from 192.0.2.7:4711, stuck in 26.8s"; a worker's only thread has no number.
[[nodiscard]] std::vector<std::string> thread_lines(const Json& worker, Threads which);

}  // namespace prong::ctl
