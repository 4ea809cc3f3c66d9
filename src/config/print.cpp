#include "config/print.hpp"

#include <fmt/format.h>

#include <cstddef>

#include "config/schema.hpp"

namespace prong::config {
namespace {

// A key of TOML: bare where it may be.
std::string key_text(std::string_view name) {
  return is_pool_name(name) ? std::string{name} : in_quotes(name);
}

// Walks twice over a section: values stand before the tables, or they would belong to the last one.
class Printer {
 public:
  void print(const Section& section, const void* owner, const std::string& path) {
    const auto fits = [&](const Key& key) { return section.fits == nullptr || section.fits(key, owner); };
    for (const Key& key : section.keys)
      if (key.access.get != nullptr && fits(key))
        text_ += fmt::format("{} = {}\n", key.name, toml_text(key, key.access.get(owner)));
    for (const Key& key : section.keys)
      if (key.section != nullptr && fits(key)) print_parts(key, owner, path);
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void print_parts(const Key& key, const void* owner, const std::string& path) {
    const std::string name = path.empty() ? std::string{key.name} : fmt::format("{}.{}", path, key.name);
    for (std::size_t i = 0; i < key.access.parts(owner); ++i) {
      const void* part = key.access.part(owner, i);
      const bool pool = key.access.kind == Kind::kPools;
      const std::string header = pool ? fmt::format("{}.{}", name, key_text(key.section->label(part))) : name;
      if (!text_.empty()) text_ += '\n';
      text_ += key.access.kind == Kind::kListeners ? fmt::format("[[{}]]\n", header) : fmt::format("[{}]\n", header);
      print(*key.section, part, header);
    }
  }

  std::string text_;
};

}  // namespace

std::string to_toml(const Config& config) {
  Printer printer;
  printer.print(root_section(), &config, {});
  return printer.take();
}

}  // namespace prong::config
