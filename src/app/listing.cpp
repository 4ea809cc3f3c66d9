#include "app/listing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "app/url_path.hpp"

namespace prong::app {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.3rem;overflow-wrap:anywhere}"
    "table{border-collapse:collapse;width:100%}"
    "td,th{padding:.2rem .6rem;text-align:left;border-bottom:1px solid #8884}"
    "td:first-child{overflow-wrap:anywhere}"
    "td:nth-child(n+2){white-space:nowrap;text-align:right;font-variant-numeric:tabular-nums}"
    "th:nth-child(n+2){text-align:right}"
    "a{text-decoration:none}a:hover{text-decoration:underline}";

// RFC 3629 section 4: the first byte, how many there are, and what the second may be; all others are 80 to BF.
struct SequenceForm {
  unsigned char least_first, most_first;
  std::size_t size;
  unsigned char least_second, most_second;
};
constexpr auto kSequenceForms = std::to_array<SequenceForm>({
    {0x00, 0x7F, 1, 0x00, 0x00},
    {0xC2, 0xDF, 2, 0x80, 0xBF},
    {0xE0, 0xE0, 3, 0xA0, 0xBF},
    {0xE1, 0xEC, 3, 0x80, 0xBF},
    {0xED, 0xED, 3, 0x80, 0x9F},
    {0xEE, 0xEF, 3, 0x80, 0xBF},
    {0xF0, 0xF0, 4, 0x90, 0xBF},
    {0xF1, 0xF3, 4, 0x80, 0xBF},
    {0xF4, 0xF4, 4, 0x80, 0x8F},
});

bool is_between(char byte, unsigned char least, unsigned char most) {
  const auto value = static_cast<unsigned char>(byte);
  return value >= least && value <= most;
}

// How many bytes the UTF-8 sequence at the front has; 0: it is none.
std::size_t sequence_size(std::string_view text) {
  for (const SequenceForm& form : kSequenceForms) {
    if (!is_between(text[0], form.least_first, form.most_first)) continue;
    if (form.size == 1) return 1;
    if (text.size() < form.size || !is_between(text[1], form.least_second, form.most_second)) return 0;
    const auto continues = [](char byte) { return is_between(byte, 0x80, 0xBF); };
    return std::ranges::all_of(text.substr(2, form.size - 2), continues) ? form.size : 0;
  }
  return 0;
}

void append_character(std::string& html, std::string_view character) {
  switch (character[0]) {
    case '&':
      html += "&amp;";
      return;
    case '<':
      html += "&lt;";
      return;
    case '>':
      html += "&gt;";
      return;
    case '"':
      html += "&quot;";
      return;
    case '\'':
      html += "&#39;";
      return;
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(character[0]);
  html += byte < 0x20 || byte == 0x7F ? kReplacement : character;
}

void append_text(std::string& html, std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = sequence_size(text);
    if (size == 0)
      html += kReplacement;
    else
      append_character(html, text.substr(0, size));
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
}

// "13 B", "1.2 KiB".
std::string size_text(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  constexpr double kStep = 1024;
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double size = static_cast<double>(bytes) / kStep;
  std::size_t unit = 0;
  for (; size >= kStep && unit + 1 < kUnits.size(); ++unit) size /= kStep;
  return fmt::format("{:.1f} {}", size, kUnits[unit]);
}

// "2026-11-23 05:04", in UTC as all that HTTP says.
std::string time_text(std::time_t time) {
  std::tm parts{};
  std::array<char, 32> buffer{};
  if (::gmtime_r(&time, &parts) == nullptr) return {};
  return {buffer.data(), std::strftime(buffer.data(), buffer.size(), "%Y-%m-%d %H:%M", &parts)};
}

void append_row(std::string& html, const os::DirectoryEntry& entry) {
  const bool is_directory = entry.info.kind == os::FileKind::kDirectory;
  const std::string_view slash = is_directory ? "/" : "";
  html += "<tr><td><a href=\"";
  append_encoded(html, entry.name);
  html.append(slash).append("\">");
  append_text(html, entry.name);
  html.append(slash).append("</a></td><td>");
  if (!is_directory) html += size_text(entry.info.size);
  html.append("</td><td>").append(time_text(entry.info.modified.tv_sec)).append("</td></tr>\n");
}

bool comes_before(const os::DirectoryEntry& left, const os::DirectoryEntry& right) {
  const bool left_is_directory = left.info.kind == os::FileKind::kDirectory;
  const bool right_is_directory = right.info.kind == os::FileKind::kDirectory;
  if (left_is_directory != right_is_directory) return left_is_directory;
  return left.name < right.name;
}

}  // namespace

std::string listing_page(std::string_view name, os::DirectoryContent content) {
  std::ranges::sort(content.entries, comes_before);
  std::string title = "/";
  append_text(title, name);
  if (!name.empty()) title += '/';
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width\"><title>Index of {0}</title>\n"
      "<style>{1}</style></head>\n<body><h1>Index of {0}</h1>\n"
      "<table><thead><tr><th>Name</th><th>Size</th><th>Modified (UTC)</th></tr></thead>\n<tbody>\n",
      title, kStyle);
  if (!name.empty()) html += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
  for (const os::DirectoryEntry& entry : content.entries) append_row(html, entry);
  html += "</tbody></table>\n";
  if (!content.is_whole) html += fmt::format("<p>There are more than the {} shown.</p>\n", content.entries.size());
  return html += "</body></html>\n";
}

}  // namespace prong::app
