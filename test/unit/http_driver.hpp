// What a connection does to a session, without a socket: for the unit tests and the fuzzer.
#pragma once

#include <cstddef>
#include <ctime>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/handler.hpp"
#include "http/session.hpp"
#include "output_driver.hpp"

namespace prong::test {

constexpr std::time_t kNow = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110
inline std::time_t clock_at_rest() {
  return kNow;
}

// Answers with what it was asked, and remembers it.
class Echo final : public http::Handler {
 public:
  [[nodiscard]] http::Answer handle(const http::Request& request) override {
    seen.emplace_back(std::string(request.method) + ' ' + std::string(request.target));
    last_host = request.host;
    last_path = request.path;
    last_query = request.query;
    if (request.path == "/throw") throw std::runtime_error("thrown");
    if (request.path == "/204") return http::Response{.status = 204};
    if (request.path == "/304") return http::Response{.status = 304};
    http::Response response{.body = std::string(request.method) + ' ' + std::string(request.path) + '\n'};
    if (request.path == "/large") response.body = std::string(100'000, 'x');
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
      const http::Header header = request.headers[i];
      if (header.name.starts_with("X-")) response.headers.add(header.name, header.value);
    }
    return response;
  }

  std::vector<std::string> seen;
  std::string last_host;
  std::string last_path;
  std::string last_query;
};

// Everything that the session has to say now, output being taken at once.
inline std::string drain(http::Session& session) {
  std::string all;
  do {
    all += take(session.output(), std::string::npos);
    session.resume();
  } while (!session.output().empty());
  return all;
}

inline std::span<const char> bytes_of(std::string_view text) {
  return {text.data(), text.size()};
}

// Sends one piece as a client would whose bytes are read when the session wants them.
inline std::string converse(http::Session& session, std::string_view piece) {
  session.receive(bytes_of(piece));
  return drain(session);
}

// One answer taken apart; `rest` is what follows it.
struct Answer {
  int status = 0;
  std::string head = {};
  std::string body = {};

  [[nodiscard]] std::string field(std::string_view name) const {
    const std::string line = "\r\n" + std::string(name) + ": ";
    const std::size_t at = head.find(line);
    if (at == std::string::npos) return "";
    return head.substr(at + line.size(), head.find("\r\n", at + 2) - at - line.size());
  }
};

// Takes a chunked body off the front of a stream. Throws when it is none.
inline std::string take_chunked(std::string_view& stream) {
  constexpr int kHexadecimal = 16;
  std::string data;
  while (true) {
    const std::size_t line = stream.find("\r\n");
    if (line == std::string_view::npos || line == 0) throw std::runtime_error("no size of a chunk");
    const std::size_t size = std::stoull(std::string(stream.substr(0, line)), nullptr, kHexadecimal);
    stream.remove_prefix(line + 2);
    if (stream.size() < size + 2 || stream.substr(size, 2) != "\r\n")
      throw std::runtime_error("a chunk that is too short");
    data += stream.substr(0, size);
    stream.remove_prefix(size + 2);
    if (size == 0) return data;
  }
}

// The answers in a stream, the bodies being as long as Content-Length says or in chunks. Throws when the stream is
// none.
inline std::vector<Answer> answers_in(std::string_view stream, const std::vector<std::string>& requests = {}) {
  std::vector<Answer> answers;
  while (!stream.empty()) {
    const std::size_t end = stream.find("\r\n\r\n");
    if (!stream.starts_with("HTTP/1.1 ") || end == std::string_view::npos)
      throw std::runtime_error("no answer: " + std::string(stream.substr(0, 80)));
    Answer answer{.status = std::stoi(std::string(stream.substr(9, 3))),
                  .head = std::string(stream.substr(0, end + 2))};
    stream.remove_prefix(end + 4);
    const bool is_head = answers.size() < requests.size() && requests[answers.size()].starts_with("HEAD");
    const std::string length = answer.field("Content-Length");
    if (!length.empty() && !is_head) {
      if (std::stoull(length) > stream.size()) throw std::runtime_error("a body that is too short");
      answer.body = stream.substr(0, std::stoull(length));
      stream.remove_prefix(answer.body.size());
    }
    const bool in_chunks = answer.field("Transfer-Encoding") == "chunked";
    if (in_chunks && !is_head) answer.body = take_chunked(stream);
    // For HTTP/1.0: up to the end of the connection.
    if (!in_chunks && length.empty() && !is_head && answer.field("Connection") == "close" && answer.status == 200)
      answer.body = std::exchange(stream, {});
    answers.push_back(std::move(answer));
  }
  return answers;
}

}  // namespace prong::test
