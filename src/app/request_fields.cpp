#include "app/request_fields.hpp"

#include <cstddef>
#include <cstdint>

namespace prong::app {

namespace {

enum class Field : std::uint8_t { kOther, kCondition, kAcceptEncoding, kRange, kIfRange };

// The length of a name tells most of them apart, at a comparison of two numbers.
Field field_named(std::string_view name) {
  const auto is = [&](std::string_view other, Field field) {
    return http::equals_ignoring_case(name, other) ? field : Field::kOther;
  };
  switch (name.size()) {
    case std::string_view("Range").size():
      return is("Range", Field::kRange);
    case std::string_view("If-Match").size():
      return http::equals_ignoring_case(name, "If-Range") ? Field::kIfRange : is("If-Match", Field::kCondition);
    case std::string_view("If-None-Match").size():
      return is("If-None-Match", Field::kCondition);
    case std::string_view("Accept-Encoding").size():
      return is("Accept-Encoding", Field::kAcceptEncoding);
    case std::string_view("If-Modified-Since").size():
      return is("If-Modified-Since", Field::kCondition);
    case std::string_view("If-Unmodified-Since").size():
      return is("If-Unmodified-Since", Field::kCondition);
    default:
      return Field::kOther;
  }
}

}  // namespace

RequestFields find_fields(const http::RequestHeaders& headers) {
  RequestFields fields;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const http::Header header = headers[i];
    switch (field_named(header.name)) {
      case Field::kOther:
        break;
      case Field::kCondition:
        fields.conditional = true;
        break;
      case Field::kAcceptEncoding:
        fields.accept_encoding = true;
        break;
      case Field::kRange:
        fields.range = header.value;
        ++ranges;
        break;
      case Field::kIfRange:
        fields.if_range = header.value;
        break;
    }
  }
  if (ranges > 1) fields.range.reset();
  return fields;
}

}  // namespace prong::app
