// A record with a value in every field, and a line made of it, for the tests of the access log.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/access_format.hpp"
#include "log/access_line.hpp"
#include "log/access_record.hpp"

namespace prong::log::test {

struct Headers {
  std::vector<std::pair<std::string, std::string>> fields = {};

  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const {
    for (const auto& [key, value] : fields)
      if (key == name) return value;
    return std::nullopt;
  }
};

inline const Headers& sample_request() {
  static const Headers headers{
      {{"Referer", "http://a.example/from"}, {"User-Agent", "curl/7.88.1"}, {"X-Id", "4711"}, {"X-Empty", ""}}};
  return headers;
}
inline const Headers& sample_response() {
  static const Headers headers{{{"Content-Type", "text/html"}}};
  return headers;
}

inline AccessRecord sample_record() {
  return {.client = "192.0.2.7",
          .client_port = 50'123,
          .peer = "10.0.0.1",
          .peer_port = 40'000,
          .scheme = "https",
          .listener = "0.0.0.0:80",
          .method = "GET",
          .target = "/a/b?x=1",
          .path = "/a/b",
          .query = "x=1",
          .protocol_minor = 1,
          .host = "www.example",
          .status = 404,
          .connection = 17,
          .request_number = 3,
          .time = std::chrono::system_clock::time_point{std::chrono::milliseconds{1'770'087'906'789}},
          .request_headers = HeaderLookup::of(sample_request()),
          .response_headers = HeaderLookup::of(sample_response())};
}

inline AccessResult sample_result() {
  return {.body_bytes = 1000, .bytes = 1234, .service_us = 56, .queue_us = 7, .completeness = Completeness::kWhole};
}

inline Subject sample_worker() {
  return {.pool = "shop", .slot = 2, .generation = 5, .pid = 99};
}

// The line of a format that is good, with its newline.
inline std::string line_of(std::string_view format, const AccessRecord& record = sample_record(),
                           const AccessResult& result = sample_result()) {
  AccessLineMaker maker{AccessFormat::parse(format).value(), sample_worker()};
  AccessLine line;
  maker.begin(line, record);
  std::string text;
  maker.finish(line, result, text);
  return text;
}

}  // namespace prong::log::test
