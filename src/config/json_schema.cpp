#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include "config/print.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

// JSON strings differ from TOML's basic strings in nothing that in_quotes() writes (RFC 8259 section 7; TOML 1.0
// "String").
std::string json_text(std::string_view text) {
  return in_quotes(text);
}

// Writes indented JSON; keeps the commas.
class JsonWriter {
 public:
  void open(char bracket) {
    text_ += bracket;
    first_ = true;
    ++depth_;
  }
  void close(char bracket) {
    --depth_;
    if (!first_) new_line();
    text_ += bracket;
    first_ = false;
  }
  // An element of an array, or with a name a member of an object, follows.
  void next() {
    if (!first_) text_ += ',';
    new_line();
    first_ = false;
  }
  void next(std::string_view name) {
    next();
    text_ += json_text(name) + ": ";
  }
  void raw(std::string_view json) { text_ += json; }

  void member(std::string_view name, std::string_view text) { member_raw(name, json_text(text)); }
  void member_raw(std::string_view name, std::string_view json) {
    next(name);
    raw(json);
  }
  void member(std::string_view name, char bracket) {
    next(name);
    open(bracket);
  }

  [[nodiscard]] std::string take() { return std::move(text_) + "\n"; }

 private:
  void new_line() { text_ += '\n' + std::string(depth_ * 2, ' '); }

  std::string text_;
  std::size_t depth_ = 0;
  bool first_ = true;
};

constexpr std::string_view kDurationPattern = "^(0|([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?)$";
constexpr std::string_view kSizePattern = "^(0|[0-9]+(B|[KMGT]iB|kB|[MGT]B))$";
constexpr std::string_view kOctalPattern = "^0*[0-7]{1,3}$";

class SchemaWriter {
 public:
  std::string write() {
    json_.open('{');
    json_.member("$schema", "https://json-schema.org/draft/2020-12/schema");
    json_.member("title", "prongd configuration");
    write_object(root_section());
    json_.close('}');
    return json_.take();
  }

 private:
  void write_object(const Section& section) {
    json_.member("type", "object");
    json_.member("description", section.doc);
    json_.member("properties", '{');
    for (const Key& key : section.keys) {
      json_.member(key.name, '{');
      write_key(section, key);
      json_.close('}');
    }
    json_.close('}');
    write_presence(section);
    json_.member_raw("additionalProperties", "false");
  }

  void write_presence(const Section& section) {
    json_.member("required", '[');
    for (const Key& key : section.keys)
      if (key.presence == Presence::kRequired && &section != &root_section()) write_element(key.name);
    json_.close(']');
    if (!has_one_of(section)) return;
    json_.member("oneOf", '[');
    for (const Key& key : section.keys) {
      if (key.presence != Presence::kOneOf) continue;
      json_.next();
      json_.open('{');
      json_.member("required", '[');
      write_element(key.name);
      json_.close(']');
      json_.close('}');
    }
    json_.close(']');
  }

  static bool has_one_of(const Section& section) {
    return std::ranges::any_of(section.keys, [](const Key& key) { return key.presence == Presence::kOneOf; });
  }

  void write_element(std::string_view text) {
    json_.next();
    json_.raw(json_text(text));
  }

  void write_key(const Section& section, const Key& key) {
    switch (key.access.kind) {
      case Kind::kTable:
        write_object(*key.section);
        return;
      case Kind::kPools:
        write_pools(key);
        return;
      case Kind::kListeners:
        write_listeners(key);
        return;
      case Kind::kTexts:
        write_texts(key);
        break;
      case Kind::kTextMap:
        json_.member("type", "object");
        write_range("minProperties", "maxProperties", key.range);
        json_.member("additionalProperties", '{');
        json_.member("type", "string");
        json_.close('}');
        break;
      case Kind::kOptions:
        json_.member("type", "object");
        break;
      case Kind::kFlag:
      case Kind::kCount:
      case Kind::kDuration:
      case Kind::kSize:
      case Kind::kOctal:
      case Kind::kChoice:
      case Kind::kText:
      case Kind::kPath:
        write_scalar(key);
        break;
    }
    json_.member("description", key.doc);
    if (key.access.get != nullptr && key.presence == Presence::kOptional)
      json_.member_raw("default", toml_text(key, key.access.get(section.defaults())));
  }

  void write_pools(const Key& key) {
    json_.member("type", "object");
    json_.member("description", key.doc);
    json_.member("patternProperties", '{');
    json_.member(kPoolNamePattern, '{');
    write_object(*key.section);
    json_.close('}');
    json_.close('}');
    json_.member_raw("additionalProperties", "false");
  }

  void write_listeners(const Key& key) {
    json_.member("type", "array");
    json_.member("description", key.doc);
    write_range("minItems", "maxItems", key.range);
    json_.member("items", '{');
    json_.member("anyOf", '[');
    json_.next();
    json_.open('{');
    json_.member("type", "string");
    json_.close('}');
    json_.next();
    json_.open('{');
    write_object(*key.section);
    json_.close('}');
    json_.close(']');
    json_.close('}');
  }

  void write_texts(const Key& key) {
    json_.member("type", "array");
    write_range("minItems", "maxItems", key.range);
    json_.member("items", '{');
    json_.member("type", "string");
    json_.member_raw("minLength", "1");
    json_.close('}');
  }

  // A value, or one of the words that may stand for it.
  void write_scalar(const Key& key) {
    if (key.words.empty()) {
      write_type(key);
      return;
    }
    json_.member("anyOf", '[');
    json_.next();
    json_.open('{');
    json_.member("enum", '[');
    for (const Word& word : key.words) write_element(word.text);
    json_.close(']');
    json_.close('}');
    json_.next();
    json_.open('{');
    write_type(key);
    json_.close('}');
    json_.close(']');
  }

  void write_type(const Key& key) {
    switch (key.access.kind) {
      case Kind::kFlag:
        json_.member("type", "boolean");
        break;
      case Kind::kCount:
        json_.member("type", "integer");
        write_range("minimum", "maximum", key.range);
        break;
      case Kind::kDuration:
        write_pattern(kDurationPattern);
        break;
      case Kind::kSize:
        write_pattern(kSizePattern);
        break;
      case Kind::kOctal:
        write_pattern(kOctalPattern);
        break;
      case Kind::kChoice:
        json_.member("enum", '[');
        for (const std::string_view choice : key.access.choices) write_element(choice);
        json_.close(']');
        break;
      case Kind::kPath:
        // Beside a word a path needs a slash.
        if (!key.words.empty()) {
          write_pattern("/");
          return;
        }
        [[fallthrough]];
      case Kind::kText:
        json_.member("type", "string");
        write_range("minLength", "maxLength", key.range);
        break;
      case Kind::kTexts:
      case Kind::kTextMap:
      case Kind::kOptions:
      case Kind::kTable:
      case Kind::kListeners:
      case Kind::kPools:
        break;  // not scalar
    }
  }

  void write_pattern(std::string_view pattern) {
    json_.member("type", "string");
    json_.member("pattern", pattern);
  }

  void write_range(std::string_view least, std::string_view most, const Range& range) {
    json_.member_raw(least, fmt::format("{}", range.least));
    if (range.most != std::numeric_limits<std::uint64_t>::max()) json_.member_raw(most, fmt::format("{}", range.most));
  }

  JsonWriter json_;
};

}  // namespace

std::string json_schema() {
  return SchemaWriter{}.write();
}

}  // namespace prong::config
