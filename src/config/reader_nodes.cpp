#include "config/reader_nodes.hpp"

#include <algorithm>

namespace prong::config {

std::string_view type_text(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a whole number";
    case toml::node_type::floating_point:
      return "a decimal number";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time";
    case toml::node_type::date_time:
      return "a date and time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

Found found_in(const toml::node& node) {
  Found found{.type = type_text(node), .value = {}};
  if (const auto* flag = node.as_boolean()) found.value = flag->get();
  if (const auto* number = node.as_integer()) found.value = number->get();
  if (const auto* text = node.as_string()) found.value = text->get();
  return found;
}

const toml::source_region& source_of(const toml::key& key, const toml::node& node) {
  return node.source().begin ? node.source() : key.source();
}

std::vector<NodeEntry> in_file_order(const toml::table& table) {
  std::vector<NodeEntry> entries;
  for (auto&& [key, node] : table) entries.emplace_back(&key, &node);
  std::ranges::sort(entries, {}, [](const NodeEntry& entry) {
    const toml::source_position& begin = source_of(*entry.first, *entry.second).begin;
    return std::pair{begin.line, begin.column};
  });
  return entries;
}

}  // namespace prong::config
