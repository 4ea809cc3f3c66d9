// A daemon's answers as text for people. The fields are those of docs/control.md; one that is missing, because the
// daemon is older, is left blank.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include <optional>
#include <string>

#include "ipc/control.hpp"

namespace prong::ctl {

// Of a good answer. `earlier`: for status, the same answer a moment before, from which rates are worked out.
[[nodiscard]] std::string to_text(ipc::ControlVerb verb, const nlohmann::ordered_json& result,
                                  const std::optional<nlohmann::ordered_json>& earlier);

// Of the answer to status: what modules count themselves.
[[nodiscard]] std::string metrics_text(const nlohmann::ordered_json& result,
                                       const std::optional<nlohmann::ordered_json>& earlier);

// Of an answer that says no: the details, each in a line, then message and hint.
[[nodiscard]] std::string failure_text(const nlohmann::ordered_json& error);

}  // namespace prong::ctl
