// prongd.toml(5) in the language of scdoc(5), from the same table as docs/configuration.md. What the schema says in
// Markdown (code between backticks, links) is said in scdoc's marks here.
#include <fmt/format.h>

#include "config/key_text.hpp"
#include "config/print.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

constexpr std::string_view kIntroduction = R"(prongd.toml(5) "prongd" "prongd's configuration"

; Generated from src/config/schema.cpp by `./dev format`. Do not edit.

# NAME

prongd.toml - the configuration of prongd(8)

# SYNOPSIS

/etc/prongd/prongd.toml

# DESCRIPTION

prongd reads one TOML file: that of *--config*, else _/etc/prongd/prongd.toml_. A file that has any error is not used at
all, neither at the start nor at a reload, and every error is told with file, line, column, and a hint. *prongd --check*
looks without starting, *prongd --print-config* shows the configuration with all defaults filled in, *prongctl config*
shows the one that is in force.

A pool is a table *\[pool.NAME\]*, and exactly one of the app tables in it says what its workers run: *static*,
*respond*, *echo*, *exec*, *wsgi*, *module* or another one of those below. An inner table may be written in one line
(*http = { ... }*) or with a header of its own (*\[pool.NAME.http\]*).

```
[log]
level = "info"

[pool.site]
listen = ["0.0.0.0:8080", "[::]:8080"]
static = { root = "/var/www/html" }

[pool.shop]
listen  = [{ address = "unix:/run/prongd/shop.sock", mode = "0660", group = "www-data" }]
workers = 4
wsgi    = { app = "shop.wsgi:application", path = ["/srv/shop"], venv = "/srv/shop/.venv" }

[pool.shop.http]
idle_timeout = "30s"
```

# VALUES

*Durations* are strings with a unit: "250ms", "30s", "5m", "1h30m", "2d". A bare number is an error, because it does not
say what it counts; only "0" needs no unit.

*Sizes* are strings with a unit: "512B", "64KiB", "10MiB", "2GiB", or decimal "10MB".

*Permission bits* are octal numbers in strings: "0660".

*Paths* that are relative are taken from the folder of the file that they stand in.

Strings hold no control characters. A file is at most 1 MiB long.

A changed value is used at the next reload (*prongctl reload*, or SIGHUP); where a key says *restart*, a reload that
finds it changed fails and leaves everything as it was.

# KEYS
)";

constexpr std::string_view kEnd = R"(
# FILES

_/etc/prongd/prongd.toml_
	The configuration when no other one is named.

# SEE ALSO

*prongd*(8), *prongctl*(1)

"docs/" above are the pages of prongd's documentation, which comes with its source.
)";

// So that no character of a text is taken for a mark. "++" at the end of a line would break it.
std::string literal(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (std::string_view{"\\*_+"}.contains(c)) result += '\\';
    result += c;
  }
  return result;
}

// What stands between the brackets of "[text](target)", which may have brackets itself: its end, or npos: it is no
// link.
std::size_t end_of_link_text(std::string_view text) {
  const std::size_t end = text.find("](");
  return text.starts_with('[') && end != std::string_view::npos && text.find(')', end) != std::string_view::npos
             ? end
             : std::string_view::npos;
}

// Markdown of the schema to scdoc: `code` in bold, links by their text, those to other pages with the page.
std::string marked(std::string_view markdown) {
  std::string result;
  while (!markdown.empty()) {
    if (const std::size_t end = markdown.find('`', 1); markdown.front() == '`' && end != std::string_view::npos) {
      result += fmt::format("*{}*", literal(markdown.substr(1, end - 1)));
      markdown.remove_prefix(end + 1);
    } else if (const std::size_t middle = end_of_link_text(markdown); middle != std::string_view::npos) {
      const std::string_view target = markdown.substr(middle + 2, markdown.find(')', middle) - middle - 2);
      const std::string_view page = target.substr(0, target.find('#'));
      result += literal(markdown.substr(1, middle - 1));
      if (!page.empty()) result += fmt::format(" (docs/{})", literal(page));
      markdown.remove_prefix(middle + 3 + target.size());
    } else {
      result += literal(markdown.substr(0, 1));
      markdown.remove_prefix(1);
    }
  }
  return result;
}

// "number of processes; default "auto"; a whole number from 1 to 1024, or "auto""
std::string facts_text(const Section& section, const Key& key) {
  std::string text = type_text(key);
  const DefaultText value = default_text(section, key);
  if (value.is_value)
    text += fmt::format("; default *{}*", literal(value.text));
  else if (value.text != "its own")
    text += fmt::format("; {}", value.text == "none" ? "no default" : literal(value.text));
  if (const std::string range = range_text(key); !range.empty()) text += fmt::format("; {}", literal(range));
  if (key.takes_effect == TakesEffect::kRestart) text += "; *restart*";
  return text;
}

std::string key_text(const Section& section, const Key& key) {
  std::string text = fmt::format("\n*{}* ({})\n\t{}\n", literal(key.name), facts_text(section, key), marked(key.doc));
  for (const Word& word : key.words)
    text += fmt::format("\n\t*{}*: {}.\n", literal(in_quotes(word.text)), marked(word.doc));
  if (!key.example.empty()) text += fmt::format("\n\tExample: *{} = {}*\n", literal(key.name), literal(key.example));
  return text;
}

std::string section_text(const Section& section) {
  std::string text = fmt::format("\n## {}\n\n{}\n", literal(section.title), marked(section.doc));
  for (const Key& key : section.keys) text += key_text(section, key);
  for (const Key& key : section.keys)
    if (key.section != nullptr) text += section_text(*key.section);
  return text;
}

}  // namespace

std::string reference_manual() {
  return std::string{kIntroduction} + section_text(root_section()) + std::string{kEnd};
}

}  // namespace prong::config
