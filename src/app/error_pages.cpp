#include "app/error_pages.hpp"

#include <charconv>
#include <cstddef>

namespace prong::app {
namespace {

constexpr std::uint16_t kHundred = 100;
constexpr std::size_t kFirstClass = 4;

}  // namespace

ErrorPages::ErrorPages(const std::vector<std::pair<std::string, std::string>>& pages) {
  for (const auto& [key, page] : pages) {
    std::uint16_t status = 0;
    const auto result = std::from_chars(key.data(), key.data() + key.size(), status);
    if (result.ec == std::errc() && result.ptr == key.data() + key.size())
      exact_.emplace(status, page);
    else if (key == "4xx" || key == "5xx")
      classes_[key == "4xx" ? 0 : 1] = page;
  }
}

std::string_view ErrorPages::of(std::uint16_t status) const {
  if (const auto found = exact_.find(status); found != exact_.end()) return found->second;
  const std::size_t index = status / kHundred - kFirstClass;
  return index < classes_.size() ? std::string_view(classes_[index]) : std::string_view();
}

}  // namespace prong::app
