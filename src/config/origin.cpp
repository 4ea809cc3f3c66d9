#include "config/origin.hpp"

#include <fmt/format.h>

#include <cstddef>

#include "config/schema.hpp"

namespace prong::config {
namespace {

class Walk {
 public:
  explicit Walk(const Config& config) : config_(config) {}

  void visit(const Section& section, const void* owner, const std::string& prefix) {
    for (const Key& key : section.keys) {
      if (section.fits != nullptr && !section.fits(key, owner)) continue;
      const std::string name = prefix + std::string{key.name};
      if (key.access.get != nullptr)
        add(key, owner, name);
      else if (key.section != nullptr)
        visit_parts(key, owner, name);
    }
  }

  [[nodiscard]] std::vector<EffectiveValue> take() { return std::move(values_); }

 private:
  void add(const Key& key, const void* owner, const std::string& name) {
    const Position* const written = config_.position_of(name);
    values_.push_back({.name = name,
                       .value = toml_text(key, key.access.get(owner)),
                       .position = written != nullptr ? *written : Position{}});
  }

  void visit_parts(const Key& key, const void* owner, const std::string& name) {
    for (std::size_t i = 0; i < key.access.parts(owner); ++i) {
      const void* const part = key.access.part(owner, i);
      std::string prefix = name;
      if (key.access.kind == Kind::kListeners) prefix += fmt::format("[{}]", i);
      if (key.access.kind == Kind::kPools) prefix += fmt::format(".{}", key.section->label(part));
      visit(*key.section, part, prefix + '.');
    }
  }

  const Config& config_;
  std::vector<EffectiveValue> values_;
};

}  // namespace

std::vector<EffectiveValue> effective_values(const Config& config) {
  Walk walk{config};
  walk.visit(root_section(), &config, {});
  return walk.take();
}

}  // namespace prong::config
