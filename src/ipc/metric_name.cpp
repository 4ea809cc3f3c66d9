#include "ipc/metric_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/characters.hpp"
#include "base/escape.hpp"

namespace prong::ipc {
namespace {

constexpr std::string_view kDaemonsOwn = "prongd_";

bool is_printable(char c) {
  return c >= ' ' && c <= '~';
}

// [a-zA-Z_][a-zA-Z0-9_]*
bool is_name(std::string_view text) {
  const auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
  return !text.empty() && !is_digit(text.front()) && std::ranges::all_of(text, allowed);
}

// The value that begins behind its quote, which is taken from `rest` with the quote that ends it. Nothing: there is no
// such quote, or something that is no value.
std::optional<std::string> take_value(std::string_view& rest) {
  std::string value;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const char c = rest[i];
    if (c == '"') {
      rest.remove_prefix(i + 1);
      return value;
    }
    if (!is_printable(c)) return std::nullopt;
    if (c != '\\') {
      value += c;
      continue;
    }
    const char escaped = ++i < rest.size() ? rest[i] : '\0';
    if (escaped != '\\' && escaped != '"' && escaped != 'n') return std::nullopt;
    value += escaped == 'n' ? '\n' : escaped;
  }
  return std::nullopt;
}

}  // namespace

Result<void> check_metric_name(std::string_view name) {
  if (!is_name(name) || name.size() > kMostMetricName)
    return failure(
        fmt::format("a name is of 1 to {} letters, digits and _, and begins with no digit", kMostMetricName));
  if (name.starts_with(kDaemonsOwn)) return failure("names that begin with prongd_ are the daemon's own");
  return {};
}

Result<void> check_metric_help(std::string_view help) {
  if (help.size() > kMostMetricHelp) return failure(fmt::format("its help has more than {} bytes", kMostMetricHelp));
  if (!std::ranges::all_of(help, is_printable)) return failure("its help is not one line of printable ASCII");
  return {};
}

Result<MetricLabels> parse_metric_labels(std::string_view text) {
  if (text.size() > kMostMetricLabels)
    return failure(fmt::format("its labels have more than {} bytes", kMostMetricLabels));
  MetricLabels labels;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t equals = std::min(rest.find('='), rest.size());
    const std::string_view name = rest.substr(0, equals);
    rest.remove_prefix(equals);
    if (!is_name(name) || !rest.starts_with("=\""))
      return failure(R"(its labels are not of the form code="5",command="get")");
    if (name == "pool" || name == "le" || name.starts_with("__"))
      return failure(fmt::format("a label \"{}\" is not for applications", escaped(name)));
    rest.remove_prefix(2);
    auto value = take_value(rest);
    if (!value)
      return failure(fmt::format("the value of its label \"{}\" is not printable ASCII in quotes", escaped(name)),
                     R"(write \\ \" and \n for a backslash, a quote and a line end)");
    if (!labels.emplace(name, *std::move(value)).second)
      return failure(fmt::format("it has two labels \"{}\"", escaped(name)));
    const bool more = rest.starts_with(',') && rest.size() > 1;
    if (!rest.empty() && !more) return failure(R"(its labels are not of the form code="5",command="get")");
    if (more) rest.remove_prefix(1);
  }
  return labels;
}

std::string labels_text(const MetricLabels& labels) {
  std::string text;
  for (const auto& [name, value] : labels) {
    if (!text.empty()) text += ',';
    text += name + "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"' || c == '\n') text += '\\';
      text += c == '\n' ? 'n' : c;
    }
    text += '"';
  }
  return text;
}

// https://github.com/prometheus/OpenMetrics/blob/v1.0.0/specification/OpenMetrics.md ("Suffixes")
std::vector<std::string> names_taken_by(MetricKind kind, std::string_view name) {
  constexpr std::string_view kTotal = "_total";
  std::vector<std::string> names{std::string(name)};
  switch (kind) {
    case MetricKind::kCounter:
      if (name.ends_with(kTotal)) {
        const std::string family{name.substr(0, name.size() - kTotal.size())};
        names.push_back(family);
        names.push_back(family + "_created");
      }
      break;
    case MetricKind::kGauge:
      break;
    case MetricKind::kHistogram:
      for (const char* suffix : {"_bucket", "_sum", "_count", "_created"}) names.push_back(std::string(name) + suffix);
      break;
  }
  return names;
}

}  // namespace prong::ipc
