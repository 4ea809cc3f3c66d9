#include "app/request_fields.hpp"

#include <cstddef>

namespace prong::app {

// The length of a name tells most of them apart, at a comparison of two numbers.
RequestFields find_fields(const http::RequestHeaders& headers) {
  RequestFields fields;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const http::Header header = headers[i];
    const auto is = [&](std::string_view name) { return http::equals_ignoring_case(header.name, name); };
    switch (header.name.size()) {
      case std::string_view("Range").size():
        if (is("Range") && ++ranges == 1) fields.range = header.value;
        break;
      case std::string_view("If-Match").size():
        if (is("If-Match")) fields.conditional = true;
        if (is("If-Range")) fields.if_range = header.value;
        break;
      case std::string_view("If-None-Match").size():
        if (is("If-None-Match")) fields.conditional = true;
        break;
      case std::string_view("Accept-Encoding").size():
        if (is("Accept-Encoding")) fields.accept_encoding = true;
        break;
      case std::string_view("If-Modified-Since").size():
        if (is("If-Modified-Since")) fields.conditional = true;
        break;
      case std::string_view("If-Unmodified-Since").size():
        if (is("If-Unmodified-Since")) fields.conditional = true;
        break;
      default:
        break;
    }
  }
  if (ranges > 1) fields.range.reset();
  return fields;
}

}  // namespace prong::app
