// The same answer to every request.
#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <variant>

#include "app/respond.hpp"

using namespace prong;

namespace {

http::Response answer_of(app::Respond& respond, std::string_view method = "GET", std::string_view path = "/") {
  http::Request request{};
  request.method = method;
  request.path = path;
  http::Answer answer = respond.handle(request);
  REQUIRE(std::holds_alternative<http::Response>(answer));
  return std::get<http::Response>(std::move(answer));
}

std::string_view body_of(const http::Response& response) {
  REQUIRE(std::holds_alternative<std::string_view>(response.body));
  return std::get<std::string_view>(response.body);
}

}  // namespace

TEST_CASE("every request gets the same answer, whatever its method and path") {
  app::Respond respond({.status = 503, .headers = {{"Retry-After", "120"}, {"X-A", "b"}}, .body = "back at noon\n"});
  for (const char* method : {"GET", "HEAD", "POST", "PURGE", "OPTIONS"}) {
    for (const char* path : {"/", "/a/b", "*"}) {
      const http::Response response = answer_of(respond, method, path);
      CHECK(response.status == 503);
      CHECK(response.headers.text() == "Retry-After: 120\r\nX-A: b\r\nContent-Type: text/plain; charset=utf-8\r\n");
      CHECK(body_of(response) == "back at noon\n");
    }
  }
}

TEST_CASE("a Content-Type that was given stays, however it is spelled") {
  app::Respond respond({.headers = {{"content-TYPE", "application/json"}}, .body = "{}"});
  CHECK(answer_of(respond).headers.text() == "content-TYPE: application/json\r\n");
}

TEST_CASE("an answer without a body has no Content-Type of its own") {
  app::Respond respond({.status = 204});
  CHECK(answer_of(respond).status == 204);
  CHECK(answer_of(respond).headers.text().empty());
  CHECK(body_of(answer_of(respond)).empty());
}

TEST_CASE("an answer borrows its text, so that no request copies it") {
  app::Respond respond({.headers = {{"X-A", std::string(1000, 'a')}}, .body = std::string(100'000, 'b')});
  const http::Response first = answer_of(respond);
  const http::Response second = answer_of(respond);
  CHECK(first.headers.text().data() == second.headers.text().data());
  CHECK(body_of(first).data() == body_of(second).data());
}
