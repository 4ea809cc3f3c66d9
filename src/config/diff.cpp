#include "config/diff.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <string_view>

#include "config/schema.hpp"

namespace prong::config {
namespace {

// The part of a list that has this label, or nullptr.
const void* find_part(const Key& key, const void* owner, std::string_view label) {
  for (std::size_t i = 0; i < key.access.parts(owner); ++i) {
    const void* part = key.access.part(owner, i);
    if (key.section->label(part) == label) return part;
  }
  return nullptr;
}

class Differ {
 public:
  void compare(const Section& section, const void* before, const void* after, const std::string& prefix) {
    for (const Key& key : section.keys) {
      if (key.access.get != nullptr)
        compare_values(key, before, after, prefix);
      else if (key.section != nullptr && key.section->label != nullptr)
        compare_lists(key, before, after, prefix);
      else if (key.section != nullptr)
        compare_tables(key, before, after, prefix);
    }
  }

  [[nodiscard]] std::vector<std::string> take() { return std::move(lines_); }

 private:
  void compare_values(const Key& key, const void* before, const void* after, const std::string& prefix) {
    const Value old_value = key.access.get(before);
    const Value new_value = key.access.get(after);
    if (old_value == new_value) return;
    const std::string_view when = key.takes_effect == TakesEffect::kRestart ? " (needs a restart)" : "";
    lines_.push_back(
        fmt::format("{}{} {} -> {}{}", prefix, key.name, plain_text(key, old_value), plain_text(key, new_value), when));
  }

  void compare_tables(const Key& key, const void* before, const void* after, const std::string& prefix) {
    const bool was = key.access.parts(before) > 0;
    const bool is = key.access.parts(after) > 0;
    const std::string name = fmt::format("{}{}", prefix, key.name);
    if (was && is) {
      compare(*key.section, key.access.part(before, 0), key.access.part(after, 0), name + ".");
      return;
    }
    if (is) lines_.push_back(name + " added");
    if (was) lines_.push_back(name + " removed");
  }

  void compare_lists(const Key& key, const void* before, const void* after, const std::string& prefix) {
    const auto name = [&](std::string_view label) {
      return fmt::format("{}{} {}{}", prefix, key.name, label, key.access.kind == Kind::kPools ? ":" : "");
    };
    for (std::size_t i = 0; i < key.access.parts(after); ++i) {
      const void* part = key.access.part(after, i);
      const std::string_view label = key.section->label(part);
      const void* old_part = find_part(key, before, label);
      if (old_part != nullptr)
        compare(*key.section, old_part, part, name(label) + " ");
      else
        lines_.push_back(name(label) + " added");
    }
    for (std::size_t i = 0; i < key.access.parts(before); ++i) {
      const std::string_view label = key.section->label(key.access.part(before, i));
      if (find_part(key, after, label) == nullptr) lines_.push_back(name(label) + " removed");
    }
  }

  std::vector<std::string> lines_;
};

}  // namespace

std::vector<std::string> diff(const Config& before, const Config& after) {
  Differ differ;
  differ.compare(root_section(), &before, &after, {});
  return differ.take();
}

}  // namespace prong::config
