// Any bytes as the pattern of an access log, and any bytes as the values of its fields: a line is always exactly one
// line, json is valid, and no value of `combined` leaves its column.
//
// The input: a pattern up to the first NUL, then values, each up to the next NUL.
#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "log/access_format.hpp"
#include "log/access_line.hpp"

namespace {

using namespace prong::log;

void require(bool holds, const char* what, const std::string& line) {
  if (holds) return;
  (void)std::fprintf(stderr, "violated: %s\n%s\n", what, line.c_str());  // we abort anyway
  std::abort();
}

// As much of RFC 8259 as a line of the format json may have: one object of names and strings, numbers and words.
class Json {
 public:
  explicit Json(std::string_view text) : rest_(text) {}

  bool is_object() {
    if (!take("{")) return false;
    do {
      if (!string() || !take(":") || !value()) return false;
    } while (take(","));
    return take("}") && rest_.empty();
  }

 private:
  bool take(std::string_view word) {
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  template <class Predicate>
  std::size_t take_while(Predicate predicate) {
    const auto end = std::ranges::find_if_not(rest_, predicate);
    const auto size = static_cast<std::size_t>(end - rest_.begin());
    rest_.remove_prefix(size);
    return size;
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  bool value() { return string() || number() || take("null") || take("true") || take("false"); }
  bool number() {
    const bool zero = rest_.starts_with('0');
    const std::size_t digits = take_while(is_digit);
    if (digits == 0 || (zero && digits > 1)) return false;
    return !take(".") || take_while(is_digit) > 0;
  }
  bool string() {
    if (!take("\"")) return false;
    while (!take("\"")) {
      if (rest_.empty()) return false;
      if (take("\\")) {
        if (!escape()) return false;
        continue;
      }
      if (rest_.front() < ' ' || rest_.front() > '~') return false;  // ours is ASCII
      rest_.remove_prefix(1);
    }
    return true;
  }
  bool escape() {
    if (take("\"") || take("\\")) return true;
    if (!take("u") || rest_.size() < 4) return false;
    const auto is_hex = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
    const bool good = std::ranges::all_of(rest_.substr(0, 4), is_hex);
    const bool high =
        rest_.starts_with("d8") || rest_.starts_with("d9") || rest_.starts_with("da") || rest_.starts_with("db");
    const bool low =
        rest_.starts_with("dc") || rest_.starts_with("dd") || rest_.starts_with("de") || rest_.starts_with("df");
    rest_.remove_prefix(4);
    if (low || !good) return false;
    return !high || (take("\\ud") && take_low());
  }
  bool take_low() {
    const bool good = rest_.size() >= 3 && rest_[0] >= 'c' && rest_[0] <= 'f';
    rest_.remove_prefix(std::min<std::size_t>(rest_.size(), 3));
    return good;
  }

  std::string_view rest_;
};

// The columns of `combined`, as its readers take them apart: blanks separate, but not in brackets and quotes.
std::optional<std::size_t> columns_of(std::string_view line) {
  std::size_t columns = 0;
  while (!line.empty()) {
    ++columns;
    std::size_t end = 0;
    if (line.front() == '"') {
      end = 1;
      while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
      ++end;
    } else if (line.front() == '[') {
      end = line.find(']') + 1;
    } else {
      end = std::min(line.find(' '), line.size());
    }
    if (end == 0 || end > line.size() || (end < line.size() && line[end] != ' ')) return std::nullopt;
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return columns;
}

class Values {
 public:
  explicit Values(std::string_view bytes) : rest_(bytes) {}
  std::string_view next() {
    const std::size_t end = std::min(rest_.find('\0'), rest_.size());
    const std::string_view value = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return value;
  }

 private:
  std::string_view rest_;
};

std::string line_of(const AccessFormat& format, const AccessRecord& record, std::size_t most_value_bytes) {
  AccessLineMaker maker{format, {.pool = "shop", .slot = 1, .generation = 2, .pid = 3}};
  AccessLine line;
  maker.begin(line, record, most_value_bytes);
  std::string text;
  maker.finish(line, {.body_bytes = 1, .bytes = 2, .service_us = 3}, text);
  require(text.size() <= AccessLineMaker::most_bytes(line), "a line is not longer than it said", text);
  require(std::ranges::count(text, '\n') == 1 && text.back() == '\n', "one line", text);
  text.pop_back();
  return text;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Values values{{reinterpret_cast<const char*>(data), size}};
  const std::string_view pattern = values.next();
  AccessRecord record;
  for (std::string_view* field :
       {&record.target, &record.method, &record.path, &record.query, &record.host, &record.client, &record.listener})
    *field = values.next();
  // The headers: the same value whatever the name.
  const std::string_view header = values.next();
  const HeaderLookup lookup{
      [](const void* context, std::string_view /*name*/) { return *static_cast<const std::string_view*>(context); },
      &header};
  record.request_headers = record.response_headers = lookup;
  record.protocol_minor = static_cast<std::uint8_t>(size);
  record.status = static_cast<std::uint16_t>(size);

  for (const std::size_t most_value_bytes : {std::size_t{3}, size}) {
    const std::string combined = line_of(AccessFormat::parse("combined").value(), record, most_value_bytes);
    require(columns_of(combined) == 9, "nine columns", combined);
    const std::string common = line_of(AccessFormat::parse("common").value(), record, most_value_bytes);
    require(columns_of(common) == 7, "seven columns", common);
    const std::string bare =
        line_of(AccessFormat::parse("{path} {header:x} {status}|{request} {host}").value(), record, most_value_bytes);
    require(std::ranges::count(bare, ' ') == 3 && std::ranges::count(bare, '|') == 1, "five columns", bare);
    const std::string json = line_of(AccessFormat::parse("json").value(), record, most_value_bytes);
    require(Json{json}.is_object(), "valid json", json);
  }
  if (auto format = AccessFormat::parse(pattern))
    (void)line_of(*format, record, size);
  else
    require(!format.error().message.empty() && format.error().text().find('\n') == std::string::npos,
            "an error is one line", format.error().text());
  return 0;
}
