#include "app/file_answer.hpp"

#include <array>
#include <ctime>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app/conditional.hpp"
#include "app/range.hpp"
#include "http/date.hpp"

namespace prong::app {
namespace {

using http::FileBody;
using http::Response;
using http::ResponseHeaders;

constexpr std::uint16_t kOk = 200;
constexpr std::uint16_t kPartialContent = 206;
constexpr std::uint16_t kNotModified = 304;
constexpr std::uint16_t kRangeNotSatisfiable = 416;

http::BodyPart part_of(const LoadedFile& file, const ByteRange& range) {
  if (file.file() != nullptr) return FileBody{.file = file.file(), .offset = range.first, .size = range.size};
  return std::string(
      file.content().substr(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.size)));
}

// RFC 9110 section 14.4: "bytes 0-4/10".
std::string content_range(const ByteRange& range, std::uint64_t size) {
  return "bytes " + std::to_string(range.first) + '-' + std::to_string(range.first + range.size - 1) + '/' +
         std::to_string(size);
}

// Stands in no file, since nobody can know it before.
std::string make_boundary() {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr unsigned kBitsPerDigit = 4;
  std::string boundary = "prongd-";
  std::random_device random;
  for (int word = 0; word < 4; ++word)
    for (unsigned bits = random(), digit = 0; digit < 8; ++digit, bits >>= kBitsPerDigit)
      boundary += kDigits[bits & 0xFU];
  return boundary;
}

// RFC 9110 section 14.6.
Response several_parts(const LoadedFile& file, const RangeSet& ranges) {
  const std::string boundary = make_boundary();
  std::vector<http::BodyPart> parts;
  parts.reserve(2 * ranges.size() + 1);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    std::string head = i == 0 ? "--" : "\r\n--";
    head.append(boundary).append("\r\nContent-Type: ").append(file.content_type());
    head.append("\r\nContent-Range: ").append(content_range(ranges[i], file.size())).append("\r\n\r\n");
    parts.emplace_back(std::move(head));
    parts.push_back(part_of(file, ranges[i]));
  }
  parts.emplace_back("\r\n--" + boundary + "--\r\n");
  Response response{.status = kPartialContent,
                    .headers = ResponseHeaders::borrowed(file.headers_without_type()),
                    .body = std::move(parts)};
  response.headers.add("Content-Type", "multipart/byteranges; boundary=" + boundary);
  return response;
}

Response one_part(const LoadedFile& file, const ByteRange& range) {
  Response response{.status = kPartialContent, .headers = ResponseHeaders::borrowed(file.headers()), .body = {}};
  response.headers.add("Content-Range", content_range(range, file.size()));
  std::visit([&](auto&& part) { response.body = std::forward<decltype(part)>(part); }, part_of(file, range));
  return response;
}

Response whole(const LoadedFile& file) {
  return {.status = kOk, .headers = ResponseHeaders::borrowed(file.headers()), .body = whole_body(file)};
}

Response answer_range(std::string_view value, const LoadedFile& file) {
  const RangeSet ranges = parse_range(value, file.size());
  switch (ranges.verdict()) {
    case RangeSet::Verdict::kParts:
      return ranges.size() == 1 ? one_part(file, ranges[0]) : several_parts(file, ranges);
    case RangeSet::Verdict::kUnsatisfiable: {
      Response response{.status = kRangeNotSatisfiable, .headers = {}, .body = {}};
      response.headers.add("Content-Range", "bytes */" + std::to_string(file.size()));
      return response;
    }
    case RangeSet::Verdict::kWhole:
      break;
  }
  return whole(file);
}

// RFC 9110 section 13.1.5: parts only fit to the very file that the client has parts of; else it gets all of it.
bool still_the_same(std::string_view if_range, const LoadedFile& file, std::time_t now) {
  if (if_range.starts_with('"') || if_range.starts_with("W/")) return if_range == file.etag();
  const auto date = http::parse_date(if_range, now);
  return date && *date == file.modified();
}

}  // namespace

http::Body whole_body(const LoadedFile& file) {
  if (file.file() != nullptr) return FileBody{.file = file.file(), .offset = 0, .size = file.size()};
  // What is larger would be borrowed for longer than the cache keeps it.
  if (file.content().size() > http::kMostBorrowedAndCopied) return file.shared_content();
  return file.content();
}

Response answer_with(const http::Request& request, const RequestFields& fields, const LoadedFile& file) {
  if (!fields.conditional && !fields.range) return whole(file);
  const std::time_t now = std::time(nullptr);
  const std::uint16_t condition =
      fields.conditional ? check_conditions(request.headers, {.etag = file.etag(), .modified = file.modified()}, now)
                         : std::uint16_t{0};
  if (condition == kNotModified)
    return {.status = condition, .headers = ResponseHeaders::borrowed(file.headers_of_304()), .body = {}};
  if (condition != 0) return {.status = condition, .headers = {}, .body = {}};
  // RFC 9110 section 14.2: a Range means something for GET alone.
  if (!fields.range || request.method != "GET") return whole(file);
  if (fields.if_range && !still_the_same(*fields.if_range, file, now)) return whole(file);
  return answer_range(*fields.range, file);
}

}  // namespace prong::app
