#include "app/conditional.hpp"

#include <cstddef>
#include <optional>

#include "http/date.hpp"

namespace prong::app {
namespace {

constexpr std::uint16_t kNotModified = 304;
constexpr std::uint16_t kPreconditionFailed = 412;

enum class Comparison : std::uint8_t { kStrong, kWeak };

// Whether a list of entity tags (section 8.8.3) names this one. What is no tag ends the list.
bool list_names(std::string_view list, std::string_view etag, Comparison comparison) {
  while (true) {
    const std::size_t begin = list.find_first_not_of(" \t,");
    if (begin == std::string_view::npos) return false;
    list.remove_prefix(begin);
    if (list.starts_with('*')) return true;
    const bool weak = list.starts_with("W/");
    if (weak) list.remove_prefix(2);
    const std::size_t end = list.starts_with('"') ? list.find('"', 1) : std::string_view::npos;
    if (end == std::string_view::npos) return false;
    if (list.substr(0, end + 1) == etag && (!weak || comparison == Comparison::kWeak)) return true;
    list.remove_prefix(end + 1);
  }
}

// Nothing when there is no such field. Several are one list.
std::optional<bool> field_names(const http::RequestHeaders& headers, std::string_view name, std::string_view etag,
                                Comparison comparison) {
  std::optional<bool> result;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const http::Header header = headers[i];
    if (!http::equals_ignoring_case(header.name, name)) continue;
    result = result.value_or(false) || list_names(header.value, etag, comparison);
  }
  return result;
}

// A field that is no date is ignored.
std::optional<std::time_t> date_of(const http::RequestHeaders& headers, std::string_view name, std::time_t now) {
  const std::optional<std::string_view> value = headers.find(name);
  return value ? http::parse_date(*value, now) : std::nullopt;
}

}  // namespace

std::uint16_t check_conditions(const http::RequestHeaders& headers, const Validators& validators, std::time_t now) {
  if (const auto match = field_names(headers, "If-Match", validators.etag, Comparison::kStrong)) {
    if (!*match) return kPreconditionFailed;
  } else if (const auto date = date_of(headers, "If-Unmodified-Since", now); date && validators.modified > *date) {
    return kPreconditionFailed;
  }
  if (const auto match = field_names(headers, "If-None-Match", validators.etag, Comparison::kWeak))
    return *match ? kNotModified : 0;
  const auto date = date_of(headers, "If-Modified-Since", now);
  return date && validators.modified <= *date ? kNotModified : 0;
}

}  // namespace prong::app
