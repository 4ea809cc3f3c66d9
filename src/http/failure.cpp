#include "http/failure.hpp"

#include <fmt/format.h>

#include <cstddef>

namespace prong::http {
namespace {

constexpr std::size_t kMostReason = 1'000;
constexpr std::size_t kMostTarget = 200;

}  // namespace

std::string failure_text(const Request& request, std::string_view what) {
  return fmt::format("{}{}, in {} {}{}", what.substr(0, kMostReason), what.size() > kMostReason ? "..." : "",
                     request.method, request.target.substr(0, kMostTarget),
                     request.target.size() > kMostTarget ? "..." : "");
}

}  // namespace prong::http
