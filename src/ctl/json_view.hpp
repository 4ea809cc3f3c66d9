// Looks into what a daemon said. It is not trusted to have a shape: these give something for everything, and blanks for
// what an older daemon does not say.
#pragma once

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace prong::ctl {

using Json = nlohmann::ordered_json;

// null when it is not there, or `object` is none.
[[nodiscard]] const Json& member(const Json& object, const char* name);
[[nodiscard]] std::string text_of(const Json& object, const char* name);
[[nodiscard]] bool is_set(const Json& object, const char* name);
[[nodiscard]] double number_of(const Json& object, const char* name);
// A whole number as text.
[[nodiscard]] std::string count_of(const Json& object, const char* name);
// What a list holds, and nothing of other things. Valid as long as `object`.
[[nodiscard]] std::vector<const Json*> entries(const Json& object, const char* name);

}  // namespace prong::ctl
