#include "config/reader_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "base/characters.hpp"
#include "base/escape.hpp"
#include "config/nesting.hpp"
#include "config/reader.hpp"
#include "config/reader_nodes.hpp"
#include "config/value.hpp"

namespace prong::config {
namespace {

// Of which names are made, and what a bare key of TOML may have.
bool is_option_key(std::string_view name) {
  const auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '_' || c == '-'; };
  return !name.empty() && std::ranges::all_of(name, allowed);
}

std::optional<ModuleScalar> scalar_in(const toml::node& node) {
  if (const auto* flag = node.as_boolean()) return flag->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* decimal = node.as_floating_point()) return decimal->get();
  if (const auto* text = node.as_string()) return text->get();
  return std::nullopt;
}

class OptionsReader {
 public:
  OptionsReader(const OptionsPlace& place, std::vector<Diagnostic>& diagnostics)
      : place_(place), diagnostics_(diagnostics) {}

  ModuleOptions read(const toml::table& table) {
    options_.toml = read_table(table, {}, 1);
    return std::move(options_);
  }

 private:
  // Each returns what it has read as TOML source.

  std::string read_table(const toml::table& table, const std::string& prefix, std::size_t depth) {
    std::string text;
    for (const auto& [key, node] : in_file_order(table)) {
      const Position position = at(source_of(*key, *node));
      if (!is_option_key(key->str())) {
        complain(position,
                 fmt::format("{} is no name for an option of {}", in_quotes(escaped(key->str())), place_.name),
                 "use ASCII letters, digits, _ and -: dots and brackets are how names in tables and lists are written");
        continue;
      }
      const std::string name = prefix.empty() ? std::string{key->str()} : fmt::format("{}.{}", prefix, key->str());
      text += fmt::format("{} {} = {}", text.empty() ? "" : ",", key->str(), read_node(*node, name, position, depth));
    }
    return text.empty() ? "{}" : fmt::format("{{{} }}", text);
  }

  std::string read_list(const toml::array& array, const std::string& name, std::size_t depth) {
    std::string text;
    std::size_t index = 0;
    for (const toml::node& node : array) {
      const std::string entry = fmt::format("{}[{}]", name, index++);
      text += fmt::format("{}{}", text.empty() ? "" : ", ", read_node(node, entry, at(node.source()), depth));
    }
    return fmt::format("[{}]", text);
  }

  std::string read_node(const toml::node& node, const std::string& name, const Position& position, std::size_t depth) {
    const toml::table* const table = node.as_table();
    const toml::array* const array = node.as_array();
    if (table == nullptr && array == nullptr) return read_scalar(node, name, position);
    if (depth >= kMostNestedOptions) {
      complain(position, fmt::format("{}.{} is nested too deeply", place_.name, name),
               fmt::format("write at most {} tables and lists in each other", kMostNestedOptions));
      return "{}";
    }
    if (table != nullptr && table->empty())
      options_.lists.push_back({.name = name, .is_table = true, .position = position});
    if (table != nullptr) return read_table(*table, name, depth + 1);
    options_.lists.push_back({.name = name, .size = array->size(), .position = position});
    return read_list(*array, name, depth + 1);
  }

  std::string read_scalar(const toml::node& node, const std::string& name, const Position& position) {
    std::optional<ModuleScalar> value = scalar_in(node);
    if (!value) {
      complain(position, fmt::format("{}.{} cannot be {}", place_.name, name, type_text(node)), "write a string");
      return "\"\"";
    }
    if (const auto* text = std::get_if<std::string>(&*value); text != nullptr && text->contains('\0'))
      complain(position, fmt::format("{}.{} has a NUL byte", place_.name, name), "write text without one");
    std::string source = toml_text(*value);
    options_.entries.push_back({.name = name, .value = *std::move(value), .position = position});
    return source;
  }

  [[nodiscard]] Position at(const toml::source_region& region) const {
    return {.file = place_.file, .line = region.begin.line, .column = region.begin.column};
  }

  void complain(Position position, std::string message, std::string hint) {
    diagnostics_.push_back({.position = std::move(position), .message = std::move(message), .hint = std::move(hint)});
  }

  const OptionsPlace& place_;
  std::vector<Diagnostic>& diagnostics_;
  ModuleOptions options_;
};

constexpr const char* kOption = "--option";

// "limits.max"
bool is_dotted_key(std::string_view name) {
  while (true) {
    const std::size_t dot = name.find('.');
    if (!is_option_key(name.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    name.remove_prefix(dot + 1);
  }
}

// The exception is how toml++ says that it is nothing of TOML.
std::optional<toml::table> parsed(const std::string& text) {
  try {
    return toml::parse(text);
  } catch (const toml::parse_error&) {
    return std::nullopt;
  }
}

// What was typed as TOML source: quotes around it where it is neither a number nor true nor false.
std::string value_text(std::string_view typed) {
  if (typed == "true" || typed == "false") return std::string{typed};
  // inf and nan are more often names than numbers; dates and times are none.
  const bool numeric = !typed.empty() && typed.find_first_not_of("0123456789+-._eE") == std::string_view::npos;
  const auto table = numeric ? parsed(fmt::format("v = {}", typed)) : std::nullopt;
  return table && (*table)["v"].is_number() ? std::string{typed} : in_quotes(typed);
}

}  // namespace

ModuleOptions read_options(const toml::table& table, const OptionsPlace& place, std::vector<Diagnostic>& diagnostics) {
  return OptionsReader{place, diagnostics}.read(table);
}

ModuleOptions read_option_arguments(const std::vector<std::string>& arguments, std::vector<Diagnostic>& diagnostics) {
  const auto complain = [&](std::string message, std::string hint) {
    diagnostics.push_back({.position = {.file = kOption}, .message = std::move(message), .hint = std::move(hint)});
  };
  std::string text;
  toml::table table;
  for (const std::string& argument : arguments) {
    const std::size_t equals = argument.find('=');
    const std::string_view name = std::string_view{argument}.substr(0, equals);
    if (equals == std::string::npos) {
      complain(fmt::format("{} has no value", in_quotes(escaped(name))), "write NAME=VALUE");
      continue;
    }
    if (!is_dotted_key(name)) {
      complain(fmt::format("{} is no name for an option", in_quotes(escaped(name))),
               "use ASCII letters, digits, _ and -, with dots between the names of tables");
      continue;
    }
    const std::string longer = text + fmt::format("{} = {}\n", name, value_text(argument.substr(equals + 1)));
    auto read = too_deep(longer) ? std::nullopt : parsed(longer);
    if (!read) {
      complain(fmt::format("{} cannot be read beside those before it", in_quotes(escaped(argument))),
               "give each option once, in UTF-8");
      continue;
    }
    text = longer;
    table = *std::move(read);
  }
  return read_options(table, {.name = kOption, .file = kOption}, diagnostics);
}

}  // namespace prong::config
