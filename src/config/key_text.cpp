#include "config/key_text.hpp"

#include <fmt/format.h>

#include "config/print.hpp"

namespace prong::config {

std::string type_text(const Key& key) {
  switch (key.access.kind) {
    case Kind::kFlag:
      return "boolean";
    case Kind::kCount:
      return key.unit.empty() ? "number" : fmt::format("number of {}", key.unit);
    case Kind::kDuration:
      return "duration";
    case Kind::kSize:
      return "size";
    case Kind::kOctal:
      return "permission bits";
    case Kind::kChoice:
      return "word";
    case Kind::kText:
      return "string";
    case Kind::kPath:
      return "path";
    case Kind::kTexts:
      return "list of strings";
    case Kind::kTextMap:
      return "table of strings";
    case Kind::kOptions:
      return "table of anything";
    case Kind::kListeners:
      return "list";
    case Kind::kTable:
      return "table";
    case Kind::kPools:
      return "tables";
  }
  return {};
}

DefaultText default_text(const Section& section, const Key& key) {
  switch (key.presence) {
    case Presence::kRequired:
      return {.text = "required"};
    case Presence::kOneOf:
      return {.text = "one of the app tables is required"};
    case Presence::kOptional:
      break;
  }
  if (key.access.kind == Kind::kTable && key.access.parts(section.defaults()) == 0) return {.text = "none"};
  if (key.section != nullptr) return {.text = "its own"};
  if (key.access.get == nullptr) return {.text = "none"};
  return {.text = toml_text(key, key.access.get(section.defaults())), .is_value = true};
}

std::string range_text(const Key& key) {
  switch (key.access.kind) {
    case Kind::kText:
    case Kind::kFlag:
    case Kind::kTable:
    case Kind::kPools:
      return {};
    case Kind::kPath:
      if (key.words.empty()) return {};
      [[fallthrough]];
    case Kind::kCount:
    case Kind::kDuration:
    case Kind::kSize:
    case Kind::kOctal:
    case Kind::kChoice:
    case Kind::kTexts:
    case Kind::kTextMap:
    case Kind::kOptions:
    case Kind::kListeners:
      return expected_text(key);
  }
  return {};
}

}  // namespace prong::config
