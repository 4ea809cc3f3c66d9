// What the files of the reader share of the nodes that toml++ makes: their types in words, their places, their order.
#pragma once

#include <toml++/toml.h>

#include <string_view>
#include <utility>
#include <vector>

#include "config/value.hpp"

namespace prong::config {

// For messages: "a table", "a whole number".
[[nodiscard]] std::string_view type_text(const toml::node& node);

[[nodiscard]] Found found_in(const toml::node& node);

// Where an entry of a table was written. A table that only dotted keys made may have no place of its own: then its
// key's.
[[nodiscard]] const toml::source_region& source_of(const toml::key& key, const toml::node& node);

// The entries of a table in the order of the file: toml++ sorts them by key. The pointers are into the table.
using NodeEntry = std::pair<const toml::key*, const toml::node*>;
[[nodiscard]] std::vector<NodeEntry> in_file_order(const toml::table& table);

}  // namespace prong::config
