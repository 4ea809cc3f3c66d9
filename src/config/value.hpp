// The values that a key of the schema can hold, between the text of a file and the typed members of config.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "config/config.hpp"

namespace prong::config {

struct Key;

// monostate: the optional member holds nothing ("auto", "inherit"). A number is a count, milliseconds, bytes or the
// bits of a mode: the key's kind tells which. A string is also the word of an enum.
using Value = std::variant<std::monostate, bool, std::uint64_t, std::string, std::vector<std::string>,
                           std::vector<std::pair<std::string, std::string>>, ModuleOptions>;

// What a file says for a key, before the schema has looked at it.
struct Found {
  // For messages: "a boolean", "a whole number", "a table".
  std::string_view type;
  // monostate: of a type that no key has (a decimal number, a date).
  std::variant<std::monostate, bool, std::int64_t, std::string> value;
};

// What `found` means for the key; lists and tables are not for this function. The message of the error starts with
// `name`, the full name of the key; the hint says what to write.
[[nodiscard]] Result<Value> parse_value(const Key& key, std::string_view name, const Found& found);

// "a whole number from 1 to 1024, or "auto"": what may stand for the key.
[[nodiscard]] std::string expected_text(const Key& key);

// The value as TOML source: `"30s"`, `4096`, `["index.html"]`.
[[nodiscard]] std::string toml_text(const Key& key, const Value& value);

// What it holds as TOML source: `true`, `-3`, `2.0`, `"text"`.
[[nodiscard]] std::string toml_text(const ModuleScalar& value);

// The value of a key for people, without quotes: `30s`.
[[nodiscard]] std::string plain_text(const Key& key, const Value& value);

// A TOML basic string with its quotes.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace prong::config
