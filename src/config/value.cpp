#include "config/value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <limits>
#include <optional>

#include "base/escape.hpp"
#include "base/suggest.hpp"
#include "base/units.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

// Sizes and durations above this cannot be written (base/units.hpp), so a range that ends there has no upper end.
constexpr std::uint64_t kNoEnd = std::numeric_limits<std::int64_t>::max();

Duration as_duration(std::uint64_t number) {
  return Duration{static_cast<Duration::rep>(number)};
}

// A number of the key, as it is written in a file but without quotes.
std::string number_text(const Key& key, std::uint64_t number) {
  if (key.access.kind == Kind::kDuration) return to_text(as_duration(number));
  if (key.access.kind == Kind::kSize) return to_text(ByteSize{number});
  if (key.access.kind == Kind::kOctal) return fmt::format("{:04o}", number);
  return fmt::format("{}", number);
}

bool is_quoted_number(Kind kind) {
  return kind == Kind::kDuration || kind == Kind::kSize || kind == Kind::kOctal;
}

std::string range_text(const Key& key) {
  const std::string_view quote = is_quoted_number(key.access.kind) ? "\"" : "";
  const std::string least = number_text(key, key.range.least);
  if (key.range.most >= kNoEnd) return key.range.least == 0 ? "" : fmt::format(" from {0}{1}{0} up", quote, least);
  return fmt::format(" from {0}{1}{0} to {0}{2}{0}", quote, least, number_text(key, key.range.most));
}

// "a", "b" or "c"
std::string one_of(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += in_quotes(words[i]);
  }
  return text;
}

std::string kind_text(const Key& key) {
  switch (key.access.kind) {
    case Kind::kFlag:
      return "true or false";
    case Kind::kCount:
      return "a whole number" + range_text(key);
    case Kind::kDuration:
      return fmt::format("a duration{}, such as \"30s\"", range_text(key));
    case Kind::kSize:
      return fmt::format("a size{}, such as \"64KiB\"", range_text(key));
    case Kind::kOctal:
      return fmt::format("permission bits{}, such as \"0660\"", range_text(key));
    case Kind::kChoice:
      return one_of(key.access.choices);
    case Kind::kText:
      return "a string";
    case Kind::kPath:
      return key.words.empty() ? "a path" : "a path with a slash";
    case Kind::kTexts:
      return fmt::format("a list of {} to {} strings", key.range.least, key.range.most);
    case Kind::kTextMap:
      return fmt::format("a table of at most {} strings", key.range.most);
    case Kind::kOptions:
      return "a table of booleans, numbers, strings, lists and tables";
    case Kind::kListeners:
      return fmt::format("a list of {} to {} addresses, such as [\"127.0.0.1:8080\"]", key.range.least, key.range.most);
    case Kind::kTable:
    case Kind::kPools:
      return "a table";
  }
  return {};
}

std::unexpected<Error> wrong_type(const Key& key, std::string_view name, const Found& found) {
  return failure(fmt::format("{} cannot be {}", name, found.type), "write " + expected_text(key));
}

std::unexpected<Error> wrong_value(const Key& key, std::string_view name, std::string_view shown,
                                   std::string_view why) {
  return failure(fmt::format("{} = {} {}", name, shown, why), "write " + expected_text(key));
}

Result<Value> in_range(const Key& key, std::string_view name, std::string_view shown, std::uint64_t number) {
  if (number < key.range.least || number > key.range.most) return wrong_value(key, name, shown, "is out of range");
  return Value{number};
}

// A duration or size written without its unit: 30 where "30s" is meant.
std::unexpected<Error> no_unit(const Key& key, std::string_view name, std::int64_t number) {
  if (number < 0) return wrong_value(key, name, fmt::format("{}", number), "is out of range");
  const std::string_view hint =
      key.access.kind == Kind::kDuration ? R"(write "{0}s" or "{0}ms")" : R"(write "{0}B" or "{0}KiB")";
  return failure(fmt::format("{} = {} has no unit", name, number), fmt::format(fmt::runtime(hint), number));
}

Result<Value> parse_number(const Key& key, std::string_view name, std::int64_t number) {
  const std::string shown = fmt::format("{}", number);
  switch (key.access.kind) {
    case Kind::kCount:
      if (number < 0) return wrong_value(key, name, shown, "is out of range");
      return in_range(key, name, shown, static_cast<std::uint64_t>(number));
    case Kind::kDuration:
    case Kind::kSize:
      return no_unit(key, name, number);
    case Kind::kOctal:
      return wrong_value(key, name, shown, "is not in quotes");
    case Kind::kFlag:
    case Kind::kChoice:
    case Kind::kText:
    case Kind::kPath:
    case Kind::kTexts:
    case Kind::kTextMap:
    case Kind::kOptions:
    case Kind::kTable:
    case Kind::kListeners:
    case Kind::kPools:
      break;
  }
  return wrong_type(key, name, {.type = "a whole number", .value = number});
}

Result<Value> parse_octal(const Key& key, std::string_view name, const std::string& text) {
  constexpr int kOctal = 8;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, kOctal);
  if (error != std::errc{} || end != text.data() + text.size())
    return wrong_value(key, name, in_quotes(text), "is not an octal number");
  return in_range(key, name, in_quotes(text), number);
}

// What to write instead of a text that is neither one of `words` nor anything else that the key takes.
std::string hint_for(const Key& key, std::string_view text, std::span<const std::string_view> words) {
  const std::string_view meant = nearest(text, words);
  if (meant.empty()) return "write " + expected_text(key);
  return fmt::format("did you mean {}? it can be {}", in_quotes(meant), expected_text(key));
}

std::vector<std::string_view> words_of(const Key& key) {
  std::vector<std::string_view> words;
  std::ranges::transform(key.words, std::back_inserter(words), &Word::text);
  return words;
}

template <class Parsed>
Result<Value> with_unit(const Key& key, std::string_view name, const std::string& text, const Result<Parsed>& parsed,
                        std::uint64_t (*number)(const Parsed&)) {
  if (parsed) return in_range(key, name, in_quotes(text), number(*parsed));
  const bool own_hint = key.words.empty() && !parsed.error().hint.empty();
  return failure(fmt::format("{}: {}", name, parsed.error().message),
                 own_hint ? parsed.error().hint : hint_for(key, text, words_of(key)));
}

Result<Value> parse_choice(const Key& key, std::string_view name, const std::string& text) {
  if (std::ranges::find(key.access.choices, text) != key.access.choices.end()) return Value{text};
  return failure(fmt::format("{} = {} is not known", name, in_quotes(text)), hint_for(key, text, key.access.choices));
}

bool is_control(char c) {
  constexpr char kDelete = 0x7f;
  return (c >= 0 && c < ' ') || c == kDelete;
}

// Control characters are no part of a name, an address or a path that anybody meant; they would cut C strings short and
// forge lines of the log or of a response's header.
Result<Value> parse_text(const Key& key, std::string_view name, const std::string& text) {
  if (!key.any_text && std::ranges::any_of(text, is_control))
    return failure(fmt::format("{} = {} has a control character", name, in_quotes(text)), "write printable text");
  if (key.access.kind == Kind::kTexts) {
    if (text.empty() && !key.any_text) return failure(fmt::format("{} is empty", name), "leave the entry out");
    return Value{text};
  }
  if (key.paths && text.empty()) return failure(fmt::format("{} is empty", name), "write a path");
  if (key.access.kind == Kind::kTextMap) return Value{text};  // the range is that of the table
  if (text.empty() && key.range.least > 0) return wrong_value(key, name, in_quotes(text), "is empty");
  if (text.size() > key.range.most)
    return failure(fmt::format("{} has {} bytes", name, text.size()),
                   fmt::format("write at most {} bytes", key.range.most));
  return Value{text};
}

// A path that may also be a word needs a slash, so that a slip in the word does not become a file.
Result<Value> parse_path(const Key& key, std::string_view name, const std::string& text) {
  auto value = parse_text(key, name, text);
  if (!value || key.words.empty() || text.contains('/')) return value;
  const std::vector<std::string_view> words = words_of(key);
  if (std::ranges::find(words, text) != words.end()) return value;
  return failure(fmt::format("{} = {} is not known", name, in_quotes(text)), hint_for(key, text, words));
}

Result<Value> parse_string(const Key& key, std::string_view name, const std::string& text) {
  switch (key.access.kind) {
    case Kind::kDuration:
      return with_unit<Duration>(key, name, text, parse_duration(text),
                                 [](const Duration& d) { return static_cast<std::uint64_t>(d.count()); });
    case Kind::kSize:
      return with_unit<ByteSize>(key, name, text, parse_byte_size(text),
                                 [](const ByteSize& size) { return size.bytes; });
    case Kind::kOctal:
      return parse_octal(key, name, text);
    case Kind::kChoice:
      return parse_choice(key, name, text);
    case Kind::kPath:
      return parse_path(key, name, text);
    case Kind::kText:
    case Kind::kTexts:
    case Kind::kTextMap:
      return parse_text(key, name, text);
    case Kind::kFlag:
    case Kind::kCount:
    case Kind::kOptions:
    case Kind::kTable:
    case Kind::kListeners:
    case Kind::kPools:
      break;
  }
  return wrong_type(key, name, {.type = "a string", .value = text});
}

const Word* word_of(const Key& key, std::string_view text) {
  const auto found = std::ranges::find(key.words, text, &Word::text);
  return found == key.words.end() ? nullptr : &*found;
}

// The word that stands for the value, or nullptr.
const Word* word_for(const Key& key, const Value& value) {
  const auto* number = std::get_if<std::uint64_t>(&value);
  for (const Word& word : key.words) {
    if (std::holds_alternative<std::monostate>(value) && !word.number) return &word;
    if (number != nullptr && word.number == *number) return &word;
  }
  return nullptr;
}

std::string list_text(const std::vector<std::string>& texts) {
  std::string text = "[";
  for (const std::string& entry : texts) {
    if (text.size() > 1) text += ", ";
    text += in_quotes(entry);
  }
  return text + "]";
}

std::string table_text(const std::vector<std::pair<std::string, std::string>>& texts) {
  std::string text = "{";
  for (const auto& [name, value] : texts)
    text += fmt::format("{}{} = {}", text.size() > 1 ? ", " : " ", in_quotes(name), in_quotes(value));
  return text + (texts.empty() ? "}" : " }");
}

struct OptionText {
  std::string operator()(bool flag) const { return flag ? "true" : "false"; }
  std::string operator()(std::int64_t number) const { return fmt::format("{}", number); }
  // The shortest text that is the same number again; with a point, or it would be a whole number.
  std::string operator()(double number) const {
    std::string text = fmt::format("{}", number);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
  }
  std::string operator()(const std::string& text) const { return in_quotes(text); }
};

}  // namespace

Result<Value> parse_value(const Key& key, std::string_view name, const Found& found) {
  if (const auto* text = std::get_if<std::string>(&found.value)) {
    // The words of a path are values themselves: they stay the text that they are.
    const Word* word = key.access.kind == Kind::kPath ? nullptr : word_of(key, *text);
    if (word != nullptr && word->number) return Value{*word->number};
    if (word != nullptr) return Value{};
    return parse_string(key, name, *text);
  }
  if (const auto* number = std::get_if<std::int64_t>(&found.value)) return parse_number(key, name, *number);
  if (const auto* flag = std::get_if<bool>(&found.value); flag != nullptr && key.access.kind == Kind::kFlag)
    return Value{*flag};
  return wrong_type(key, name, found);
}

std::string expected_text(const Key& key) {
  std::string text;
  const bool path = key.access.kind == Kind::kPath;
  for (const Word& word : key.words) text += (text.empty() ? "" : ", ") + in_quotes(word.text);
  if (text.empty()) return kind_text(key);
  return path ? text + " or " + kind_text(key) : kind_text(key) + ", or " + text;
}

std::string in_quotes(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    if (is_control(c))
      fmt::format_to(std::back_inserter(result), "\\u{:04X}", static_cast<unsigned>(c));
    else
      result += c;
  }
  return result + '"';
}

std::string toml_text(const Key& key, const Value& value) {
  if (const Word* word = word_for(key, value)) return in_quotes(word->text);
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&value)) return in_quotes(*text);
  if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) return list_text(*texts);
  if (const auto* named = std::get_if<std::vector<std::pair<std::string, std::string>>>(&value))
    return table_text(*named);
  if (const auto* options = std::get_if<ModuleOptions>(&value)) return options->toml;
  const auto* number = std::get_if<std::uint64_t>(&value);
  if (number == nullptr) return "\"\"";
  const std::string text = number_text(key, *number);
  return is_quoted_number(key.access.kind) ? in_quotes(text) : text;
}

std::string toml_text(const ModuleScalar& value) {
  return std::visit(OptionText{}, value);
}

std::string plain_text(const Key& key, const Value& value) {
  std::string text = toml_text(key, value);
  const auto* string = std::get_if<std::string>(&value);
  if (text.size() <= 2 || text.front() != '"') return text;  // "" stays visible
  return string != nullptr ? escaped(*string, string->size()) : text.substr(1, text.size() - 2);
}

}  // namespace prong::config
