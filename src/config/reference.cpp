#include <fmt/format.h>

#include "config/key_text.hpp"
#include "config/print.hpp"
#include "config/schema.hpp"

namespace prong::config {
namespace {

constexpr std::string_view kIntroduction =
    R"(<!-- Generated from src/config/schema.cpp by `./dev format`. Do not edit. -->

# Configuration

prongd reads one TOML file: `--config FILE`, else `/etc/prongd/prongd.toml`. A file that has any error is not used at all,
neither at the start nor at a reload, and every error is told: `file:line:col: error: what; hint`. `prongd --check` looks
without starting, `prongd --print-config` shows the configuration with all defaults filled in, `prongd --dump-schema`
writes a JSON Schema for editors.

## A complete example

```toml
include = ["conf.d/*.toml"]

[log]
level = "info"

[pool.site]
listen = ["0.0.0.0:8080", "[::]:8080"]
static = { root = "/var/www/html" }

[pool.intranet]
listen           = [{ address = "unix:/run/prongd/intranet.sock", mode = "0660", group = "www-data" }]
workers          = 2
graceful_timeout = "1m"
rlimits          = { nofile = 65536, core = "unlimited" }

[pool.intranet.http]
idle_timeout = "30s"
max_header   = "16KiB"

[pool.intranet.static]
root  = "/srv/intranet"
index = ["index.html", "index.htm"]
```

An inner table may be written in one line (`http = { ... }`) or with a header of its own (`[pool.NAME.http]`).

## Values

- **Durations** are strings with a unit: `"250ms"`, `"30s"`, `"5m"`, `"1h30m"`, `"2d"`. A bare number is an error, because
  it does not say what it counts; only `"0"` needs no unit.
- **Sizes** are strings with a unit: `"512B"`, `"64KiB"`, `"10MiB"`, `"2GiB"`, or decimal `"10MB"`.
- **Permission bits** are octal numbers in strings: `"0660"`.
- **Paths** that are relative are taken from the folder of the file that they stand in.
- A word such as `"auto"` or `"inherit"` stands, where the table says so, in place of the value.
- Strings hold no control characters.

A configuration file is at most 1 MiB long.

"Takes effect" says when a changed value is used: at the next **reload** (`systemctl reload prongd`, or HUP), or only
at a **restart**; a reload that finds such a value changed fails and leaves everything as it was.
)";

std::string default_cell(const Section& section, const Key& key) {
  const DefaultText value = default_text(section, key);
  return value.is_value ? fmt::format("`{}`", value.text) : value.text;
}

std::string doc_text(const Key& key) {
  std::string text{key.doc};
  for (const Word& word : key.words) text += fmt::format(" `{}`: {}.", in_quotes(word.text), word.doc);
  if (!key.example.empty()) text += fmt::format(" Example: `{} = {}`.", key.name, key.example);
  return text;
}

// A bar would end the cell.
std::string cell(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '|') result += '\\';
    result += c;
  }
  return result;
}

std::string section_text(const Section& section) {
  std::string text = fmt::format("\n## {}\n\n{}\n\n", section.title, section.doc);
  text += "| key | type | default | may be | takes effect | |\n| --- | --- | --- | --- | --- | --- |\n";
  for (const Key& key : section.keys)
    text +=
        fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", key.name, type_text(key), cell(default_cell(section, key)),
                    cell(range_text(key)), kTakesEffectText.text(key.takes_effect), cell(doc_text(key)));
  for (const Key& key : section.keys)
    if (key.section != nullptr) text += section_text(*key.section);
  return text;
}

}  // namespace

std::string reference_markdown() {
  return std::string{kIntroduction} + section_text(root_section());
}

}  // namespace prong::config
