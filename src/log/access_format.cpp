#include "log/access_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/characters.hpp"
#include "base/escape.hpp"
#include "base/join.hpp"
#include "base/suggest.hpp"

namespace prong::log {
namespace {

struct NamedField {
  std::string_view name;
  AccessField field;
  bool in_json;  // whether the format json has it; the others only repeat what it has
};

constexpr std::array kFields{
    NamedField{"time", AccessField::kTime, true},
    NamedField{"time_unix", AccessField::kTimeUnix, true},
    NamedField{"time_common", AccessField::kTimeCommon, false},
    NamedField{"client", AccessField::kClient, true},
    NamedField{"client_port", AccessField::kClientPort, true},
    NamedField{"peer", AccessField::kPeer, false},
    NamedField{"peer_port", AccessField::kPeerPort, false},
    NamedField{"scheme", AccessField::kScheme, false},
    NamedField{"listener", AccessField::kListener, true},
    NamedField{"request", AccessField::kRequest, false},
    NamedField{"method", AccessField::kMethod, true},
    NamedField{"target", AccessField::kTarget, true},
    NamedField{"path", AccessField::kPath, true},
    NamedField{"query", AccessField::kQuery, true},
    NamedField{"protocol", AccessField::kProtocol, true},
    NamedField{"host", AccessField::kHost, true},
    NamedField{"referer", AccessField::kReferer, true},
    NamedField{"user_agent", AccessField::kUserAgent, true},
    NamedField{"status", AccessField::kStatus, true},
    NamedField{"body_bytes", AccessField::kBodyBytes, true},
    NamedField{"bytes", AccessField::kBytes, true},
    NamedField{"complete", AccessField::kComplete, true},
    NamedField{"service_us", AccessField::kServiceUs, true},
    NamedField{"queue_us", AccessField::kQueueUs, true},
    NamedField{"pool", AccessField::kPool, true},
    NamedField{"worker", AccessField::kWorker, true},
    NamedField{"generation", AccessField::kGeneration, true},
    NamedField{"pid", AccessField::kPid, true},
    NamedField{"connection", AccessField::kConnection, true},
    NamedField{"request_number", AccessField::kRequestNumber, true},
    NamedField{"header:NAME", AccessField::kHeader, false},
    NamedField{"response:NAME", AccessField::kResponse, false},
};

constexpr std::array kFieldNames = [] {
  std::array<std::string_view, kFields.size()> names{};
  for (std::size_t i = 0; i < names.size(); ++i) names.at(i) = kFields.at(i).name;
  return names;
}();

constexpr std::string_view kCommon = R"({client} - - [{time_common}] "{request}" {status} {body_bytes})";
constexpr std::string_view kCombined =
    R"({client} - - [{time_common}] "{request}" {status} {body_bytes} "{referer}" "{user_agent}")";
constexpr std::array<std::string_view, 3> kWords{"common", "combined", "json"};

std::string known_fields() {
  return "the fields are " + joined(kFieldNames);
}

using Part = AccessFormat::Part;

class PatternParser {
 public:
  explicit PatternParser(std::string_view text) : text_(text) {}

  Result<std::vector<Part>> parse() {
    while (at_ < text_.size()) {
      auto done = step();
      if (!done) return failure(std::move(done.error()));
    }
    if (open_quote_) return error_at(*open_quote_, "a double quote that is not closed", "quotes come in pairs");
    if (!has_field_) return no_field();
    flush_literal();
    return std::move(parts_);
  }

 private:
  Result<void> step() {
    const char c = text_[at_];
    // The literals of a pattern are not checked by the fields around them, so a line may not be ended by one.
    if (has_control({&c, 1}))
      return error_at(at_, fmt::format("the control character \"{}\"", escaped({&c, 1})), "each answer is one line");
    const bool doubled = at_ + 1 < text_.size() && text_[at_ + 1] == c;
    if (c == '{' && !doubled) return read_field();
    if (c == '}' && !doubled) return error_at(at_, R"(a "}" without its "{")", R"(write "}}" for a brace)");
    if (c == '"') open_quote_ = open_quote_ ? std::nullopt : std::optional{at_};
    literal_ += c;
    at_ += c == '{' || c == '}' ? 2 : 1;
    return {};
  }

  Result<void> read_field() {
    const std::size_t end = text_.find('}', at_);
    if (end == std::string_view::npos) return error_at(at_, R"(a "{" without its "}")", R"(write "{{" for a brace)");
    auto part = to_part(text_.substr(at_ + 1, end - at_ - 1));
    if (!part) return failure(std::move(part.error()));
    flush_literal();
    parts_.push_back(std::move(*part));
    has_field_ = true;
    at_ = end + 1;
    return {};
  }

  [[nodiscard]] Result<Part> to_part(std::string_view name) const {
    const Escape escape = open_quote_ ? Escape::kQuoted : Escape::kBare;
    for (const auto& [prefix, field] : {std::pair{std::string_view{"header:"}, AccessField::kHeader},
                                        std::pair{std::string_view{"response:"}, AccessField::kResponse}}) {
      if (!name.starts_with(prefix)) continue;
      const std::string_view header = name.substr(prefix.size());
      if (!is_token(header))
        return error_at(at_, fmt::format("\"{}\" is no name of a header", escaped(header)),
                        fmt::format("for example {{{}X-Request-Id}}", prefix));
      return Part{.field = field, .escape = escape, .text = std::string{header}};
    }
    const auto* const found = std::ranges::find(kFields, name, &NamedField::name);
    if (found == kFields.end() || found->name.ends_with(":NAME")) return unknown(name);
    const bool ours = found->field == AccessField::kListener && escape == Escape::kBare;
    return Part{.field = found->field, .escape = ours ? Escape::kBareOfOurs : escape};
  }

  [[nodiscard]] std::unexpected<Error> unknown(std::string_view name) const {
    const std::string_view meant = nearest(name, kFieldNames);
    return error_at(at_, fmt::format("unknown field \"{}\"", escaped(name, 64)),
                    (meant.empty() ? std::string{} : fmt::format("did you mean {{{}}}? ", meant)) + known_fields());
  }

  [[nodiscard]] std::unexpected<Error> no_field() const {
    const std::string_view meant = nearest(text_, kWords);
    return failure(fmt::format("the format \"{}\" has no field", escaped(text_, 64)),
                   (meant.empty() ? std::string{} : fmt::format("did you mean \"{}\"? ", meant)) +
                       "write common, combined, json, or a pattern with fields in braces: {client} {status}");
  }

  static std::unexpected<Error> error_at(std::size_t at, const std::string& what, const std::string& hint) {
    return failure(fmt::format("character {} of the format: {}", at + 1, what), hint);
  }

  void flush_literal() {
    if (literal_.empty()) return;
    parts_.push_back({.field = AccessField::kLiteral, .escape = Escape::kBare, .text = std::exchange(literal_, {})});
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string literal_ = {};
  std::vector<Part> parts_ = {};
  std::optional<std::size_t> open_quote_ = {};
  bool has_field_ = false;
};

std::vector<Part> json_parts() {
  std::vector<Part> parts;
  for (const NamedField& known : kFields) {
    if (!known.in_json) continue;
    parts.push_back({.text = fmt::format("{}\"{}\":", parts.empty() ? "{" : ",", known.name)});
    parts.push_back({.field = known.field, .escape = Escape::kJson});
  }
  parts.push_back({.text = "}"});
  return parts;
}

// The bytes that end a column of the pattern: punctuation right behind a field that stands in no quotes. Who reads
// brackets as such starts at the opening one.
EscapeSet bare_set(std::span<const Part> parts) {
  constexpr std::array<std::string_view, 4> kBrackets{"()", "[]", "{}", "<>"};
  EscapeSet set = EscapeSet::bare();
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const bool is_column = parts[i].field != AccessField::kLiteral && parts[i].escape != Escape::kQuoted;
    if (!is_column || parts[i + 1].field != AccessField::kLiteral) continue;
    const char separator = parts[i + 1].text.front();
    if (is_letter(separator) || is_digit(separator)) continue;
    set.add(separator);
    for (const std::string_view pair : kBrackets)
      if (pair[1] == separator) set.add(pair[0]);
  }
  return set;
}

}  // namespace

AccessFormat::AccessFormat(std::vector<Part> parts) : parts_(std::move(parts)), bare_(bare_set(parts_)) {}

Result<AccessFormat> AccessFormat::parse(std::string_view text) {
  if (text == "json") return AccessFormat{json_parts()};
  if (text == "common") text = kCommon;
  if (text == "combined") text = kCombined;
  auto parts = PatternParser{text}.parse();
  if (!parts) return failure(std::move(parts.error()));
  return AccessFormat{std::move(*parts)};
}

std::span<const std::string_view> access_field_names() {
  return kFieldNames;
}

}  // namespace prong::log
