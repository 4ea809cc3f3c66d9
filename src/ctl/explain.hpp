// `prongctl explain`: what a code of the log means. Needs no daemon: the table is in this program too.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.hpp"

namespace prong::ctl {

enum class ExplainAs : std::uint8_t { kText, kJson };

// Of one code as people write it ("PR0101", "pr0101", "101"), or with an empty one a list of all. With newlines.
[[nodiscard]] Result<std::string> explain(const std::string& code, ExplainAs form);

}  // namespace prong::ctl
