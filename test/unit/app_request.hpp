// Requests for handlers, without a session: for the unit tests of applications.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "http/handler.hpp"
#include "http/headers.hpp"

namespace prong::test {

// The header fields of a request, as a session would hand them on.
class Fields {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };
  Fields() = default;
  // Not explicit, so that a test can write {{"Range", "bytes=0-"}}.
  Fields(std::initializer_list<Field> fields) {
    for (const Field& field : fields) add(field.name, field.value);
  }

  void add(std::string_view name, std::string_view value) {
    const auto at = static_cast<std::uint32_t>(head_.size());
    const auto name_size = static_cast<std::uint32_t>(name.size());
    positions_.push_back({.name_offset = at,
                          .name_size = name_size,
                          .value_offset = at + name_size,
                          .value_size = static_cast<std::uint32_t>(value.size())});
    head_ += name;
    head_ += value;
  }
  // Borrows this.
  [[nodiscard]] http::RequestHeaders headers() const { return {head_, positions_}; }

 private:
  std::string head_;
  std::vector<http::HeaderPosition> positions_;
};

// An answer with its body read.
struct Answered {
  int status = 0;
  std::string headers = {};
  std::string body = {};
  bool from_file = false;  // some of the body came from a descriptor

  [[nodiscard]] std::string field(std::string_view name) const {
    const std::string all = "\r\n" + headers;
    const std::string line = "\r\n" + std::string(name) + ": ";
    const std::size_t at = all.find(line);
    if (at == std::string::npos) return "";
    return all.substr(at + line.size(), all.find("\r\n", at + 2) - at - line.size());
  }
};

class BodyReader {
 public:
  explicit BodyReader(Answered& into) : into_(&into) {}

  void operator()(const std::string& text) const { into_->body += text; }
  void operator()(std::string_view text) const { into_->body += text; }
  void operator()(const http::SharedText& shared) const { into_->body += shared.text; }
  void operator()(const http::FileBody& file) const {
    if (file.size == 0) return;
    into_->from_file = true;
    std::string part(file.size, '\0');
    const ssize_t size = ::pread(file.file->get(), part.data(), part.size(), static_cast<off_t>(file.offset));
    if (size != static_cast<ssize_t>(part.size())) throw std::runtime_error("a file that is too short");
    into_->body += part;
  }
  void operator()(const std::vector<http::BodyPart>& parts) const {
    for (const http::BodyPart& part : parts) std::visit(*this, part);
  }
  void operator()(const std::unique_ptr<http::BodySource>& /*source*/) const { throw std::runtime_error("a source"); }

 private:
  Answered* into_;
};

inline http::Response ask(http::Handler& handler, std::string_view target, std::string_view method,
                          const Fields& fields) {
  http::Request request{};
  request.method = method;
  request.target = target;
  request.path = target.substr(0, target.find('?'));
  if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
  request.headers = fields.headers();
  http::Answer answer = handler.handle(request);
  return std::get<http::Response>(std::move(answer));
}

// Asks a handler; the body is that of a GET, also for HEAD, which is the session's business.
inline Answered get(http::Handler& handler, std::string_view target, const Fields& fields = {},
                    std::string_view method = "GET") {
  const http::Response response = ask(handler, target, method, fields);
  Answered answered{.status = response.status, .headers = std::string(response.headers.text())};
  std::visit(BodyReader(answered), response.body);
  return answered;
}

}  // namespace prong::test
