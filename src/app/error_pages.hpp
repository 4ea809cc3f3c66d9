// Which file of the root is sent with an error, by its status or the class of it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace prong::app {

class ErrorPages {
 public:
  ErrorPages() = default;
  // "404" or "5xx" -> a name below the root. What is neither is left out (config/check.cpp tells of it).
  explicit ErrorPages(const std::vector<std::pair<std::string, std::string>>& pages);

  // The page of that status, else that of its class, else nothing: empty.
  [[nodiscard]] std::string_view of(std::uint16_t status) const;

 private:
  std::map<std::uint16_t, std::string> exact_;
  std::array<std::string, 2> classes_;  // 4xx, 5xx
};

}  // namespace prong::app
