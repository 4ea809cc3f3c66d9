// Enum values and their one spelling, for logs, configuration and documentation.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

namespace prong {

// A table of (value, text). Declared constexpr beside the enum; the texts are the words of design.md section 1.
template <class Enum, std::size_t N>
struct EnumText {
  std::array<std::pair<Enum, std::string_view>, N> entries;

  // The text of a value; "?" for one that is not in the table (a value from a corrupted message, say).
  [[nodiscard]] constexpr std::string_view text(Enum value) const {
    for (const auto& [entry, name] : entries)
      if (entry == value) return name;
    return "?";
  }

  [[nodiscard]] constexpr std::optional<Enum> value(std::string_view name) const {
    for (const auto& [entry, entry_name] : entries)
      if (entry_name == name) return entry;
    return std::nullopt;
  }
};

}  // namespace prong
