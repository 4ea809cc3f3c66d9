// What the pages about the configuration say of a key, without any markup: docs/configuration.md (reference.cpp) and
// prongd.toml(5) (manual.cpp).
#pragma once

#include <string>

#include "config/schema.hpp"

namespace prong::config {

// "number of processes"
[[nodiscard]] std::string type_text(const Key& key);

struct DefaultText {
  std::string text;
  bool is_value = false;  // as it would be written; else words, such as "none"
};
[[nodiscard]] DefaultText default_text(const Section& section, const Key& key);

// What may stand there. The lengths of texts are limits of the system, and no news to anybody: empty.
[[nodiscard]] std::string range_text(const Key& key);

}  // namespace prong::config
