#include "app/respond.hpp"

#include <string_view>

#include "http/headers.hpp"

namespace prong::app {
namespace {

std::string header_text(const RespondSettings& settings) {
  http::ResponseHeaders headers;
  for (const auto& [name, value] : settings.headers) headers.add(name, value);
  if (!settings.body.empty() && !headers.find("Content-Type")) headers.add("Content-Type", "text/plain; charset=utf-8");
  return std::string(headers.text());
}

}  // namespace

Respond::Respond(Settings settings)
    : status_(settings.status), headers_(header_text(settings)), body_(std::move(settings.body)) {}

http::Answer Respond::handle(const http::Request& /*request*/) {
  return http::Response{
      .status = status_, .headers = http::ResponseHeaders::borrowed(headers_), .body = std::string_view(body_)};
}

}  // namespace prong::app
