#include "http/response.hpp"

#include <array>
#include <charconv>

#include "http/status.hpp"

namespace prong::http {
namespace {

void append_decimal(std::string& text, std::uint64_t number) {
  std::array<char, 20> buffer{};  // the digits of 2^64
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number);
  text.append(buffer.data(), result.ptr);
}

}  // namespace

void append_head(std::string& text, const Response& response, const HeadFields& fields) {
  // Room for the fields below; the handler's come with their own size.
  constexpr std::size_t kOwnFields = 192;
  text.reserve(text.size() + kOwnFields + response.headers.text().size());
  text += "HTTP/1.1 ";
  append_decimal(text, response.status);
  text += ' ';
  text += reason_phrase(response.status);
  text += "\r\nDate: ";
  text += fields.date;
  text += fields.server ? "\r\nServer: prongd\r\n" : "\r\n";
  text += response.headers.text();
  if (fields.content_length) {
    text += "Content-Length: ";
    append_decimal(text, *fields.content_length);
    text += "\r\n";
  }
  if (fields.chunked) text += "Transfer-Encoding: chunked\r\n";
  if (!fields.connection.empty()) {
    text += "Connection: ";
    text += fields.connection;
    text += "\r\n";
  }
  text += "\r\n";
}

namespace {

struct BodySize {
  std::optional<std::uint64_t> operator()(const std::string& text) const { return text.size(); }
  std::optional<std::uint64_t> operator()(std::string_view text) const { return text.size(); }
  std::optional<std::uint64_t> operator()(const SharedText& shared) const { return shared.text.size(); }
  std::optional<std::uint64_t> operator()(const FileBody& file) const { return file.size; }
  std::optional<std::uint64_t> operator()(const std::vector<BodyPart>& parts) const {
    std::uint64_t size = 0;
    for (const BodyPart& part : parts)
      size += std::visit([this](const auto& each) { return (*this)(each).value_or(0); }, part);
    return size;
  }
  std::optional<std::uint64_t> operator()(const std::unique_ptr<BodySource>& source) const { return source->size(); }
};

}  // namespace

std::optional<std::uint64_t> body_size(const Response& response) {
  return std::visit(BodySize{}, response.body);
}

Response error_response(std::uint16_t status) {
  std::string title;
  append_decimal(title, status);
  title += ' ';
  title += reason_phrase(status);
  std::string page = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>";
  page += title;
  page += "</title></head>\n<body><h1>";
  page += title;
  page += "</h1></body></html>\n";
  Response response{.status = status, .body = std::move(page)};
  response.headers.add("Content-Type", "text/html; charset=utf-8");
  return response;
}

}  // namespace prong::http
