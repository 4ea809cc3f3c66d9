// Requests that must be refused, and some odd ones that must not be: each whole, byte by byte, and split everywhere.
#include <catch2/catch.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "http/session.hpp"
#include "http_driver.hpp"

using namespace prong;
using namespace prong::test;
using namespace std::string_literals;

namespace {

struct Case {
  const char* name;
  std::string request;
  int status;  // of the first answer; a refusal also closes
};

std::string with_fields(std::string_view fields) {
  return "GET / HTTP/1.1\r\n" + std::string(fields) + "\r\n";
}
std::string with_host(std::string_view fields) {
  return with_fields("Host: h\r\n" + std::string(fields));
}
std::string line(std::string_view line) {
  return std::string(line) + "\r\nHost: h\r\n\r\n";
}
std::string post(std::string_view fields, std::string_view body = "") {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      // The request line, RFC 9112 section 3.
      {"nonsense", "nonsense\r\n\r\n", 400},
      {"nonsense with spaces", "this is no request\r\n\r\n", 400},
      {"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01"s, 400},
      {"an unknown method", line("FROB / HTTP/1.1"), 501},
      {"a method in lower case", line("get / HTTP/1.1"), 501},
      {"a known method with more behind it", line("GETS / HTTP/1.1"), 501},
      {"a method that is no token", line("G(T / HTTP/1.1"), 400},
      {"no method", line(" / HTTP/1.1"), 400},
      {"CONNECT", line("CONNECT h:80 HTTP/1.1"), 501},
      {"a method of RTSP", line("DESCRIBE / HTTP/1.1"), 501},
      {"RTSP", line("OPTIONS / RTSP/1.0"), 400},
      {"no version", line("GET /"), 400},
      {"a space and no version", line("GET / "), 400},
      {"version 0.9", line("GET / HTTP/0.9"), 505},
      {"version 1.2", line("GET / HTTP/1.2"), 505},
      {"version 2.0", line("GET / HTTP/2.0"), 505},
      {"version 3.7", line("GET / HTTP/3.7"), 505},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"version 11.1", line("GET / HTTP/11.1"), 400},
      {"version 1.x", line("GET / HTTP/1.x"), 400},
      {"version 1", line("GET / HTTP/1"), 400},
      {"version 1.10", line("GET / HTTP/1.10"), 400},
      {"a protocol in lower case", line("GET / http/1.1"), 400},
      {"two spaces before the target", line("GET  / HTTP/1.1"), 400},
      {"two spaces after the target", line("GET /  HTTP/1.1"), 400},
      {"a space after the version", line("GET / HTTP/1.1 "), 400},
      {"a tab for a space", line("GET\t/ HTTP/1.1"), 400},
      {"a tab behind the target", line("GET /\tHTTP/1.1"), 400},
      {"a space before the method", line(" GET / HTTP/1.1"), 400},
      {"a bare LF after the request line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
      {"a bare CR after the request line", "GET / HTTP/1.1\rHost: h\r\n\r\n", 400},
      {"a bare LF before the request", "\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"a bare CR before the request", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CRs before the request", "\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      // The target, RFC 9112 section 3.2.
      {"a target without a slash", line("GET a HTTP/1.1"), 400},
      {"a fragment", line("GET /a#b HTTP/1.1"), 400},
      {"* for GET", line("GET * HTTP/1.1"), 400},
      {"more than *", line("OPTIONS *a HTTP/1.1"), 400},
      {"another scheme", line("GET ftp://h/ HTTP/1.1"), 400},
      {"an absolute target without a host", line("GET http:///a HTTP/1.1"), 400},
      {"an absolute target with only a port", line("GET http://:80/a HTTP/1.1"), 400},
      {"a user in the target", line("GET http://u@h/ HTTP/1.1"), 400},
      {"a control byte in the target", line("GET /a\x01 HTTP/1.1"), 400},
      {"NUL in the target", line("GET /a\0b HTTP/1.1"s), 400},
      {"DEL in the target", line("GET /a\x7f HTTP/1.1"), 400},
      {"a byte beyond ASCII in the target", line("GET /\xc3\xa4 HTTP/1.1"), 400},
      // Fields, RFC 9112 section 5.
      {"a field without a colon", with_host("X\r\n"), 400},
      {"a space before the colon", with_host("X : y\r\n"), 400},
      {"a tab before the colon", with_host("X\t: y\r\n"), 400},
      {"a space in a name", with_host("X Y: z\r\n"), 400},
      {"no name", with_host(": y\r\n"), 400},
      {"a name that is no token", with_host("X(: y\r\n"), 400},
      {"a name beyond ASCII", with_host("\xc3\xa4: y\r\n"), 400},
      {"a space before the first field", with_fields(" Host: h\r\n"), 400},
      {"a folded value", with_host("X: y\r\n z\r\n"), 400},
      {"a value folded from the start", with_host("X:\r\n z\r\n"), 400},
      {"a fold of nothing", with_host("X:\r\n \r\nY: z\r\n"), 400},
      {"a fold with a tab", with_host("X: y\r\n\tz\r\n"), 400},
      {"a folded Host", with_fields("Host:\r\n h\r\n"), 400},
      {"a bare LF behind a value", with_host("X: y\nZ: a\r\n"), 400},
      {"a bare CR in a value", with_host("X: y\rZ: a\r\n"), 400},
      {"NUL in a value", with_host("X: y\0z\r\n"s), 400},
      {"a control byte in a value", with_host("X: y\x01z\r\n"), 400},
      {"DEL in a value", with_host("X: y\x7fz\r\n"), 400},
      {"a bare LF for the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\n", 400},
      {"a bare CR for the empty line", "GET / HTTP/1.1\r\nHost: h\r\n\rGET", 400},
      // Host, RFC 9112 section 3.2.
      {"no Host", with_fields(""), 400},
      {"two Hosts", with_fields("Host: h\r\nHost: h\r\n"), 400},
      {"two Hosts in 1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n", 400},
      {"a list of Hosts", with_fields("Host: a, b\r\n"), 400},
      {"a Host with a path", with_fields("Host: h/a\r\n"), 400},
      {"a Host with a user", with_fields("Host: u@h\r\n"), 400},
      {"a Host with a port that is none", with_fields("Host: h:x\r\n"), 400},
      {"a Host with two ports", with_fields("Host: h:1:2\r\n"), 400},
      {"a Host with an open bracket", with_fields("Host: [::1\r\n"), 400},
      {"a Host with more behind the bracket", with_fields("Host: [::1]a\r\n"), 400},
      {"a Host with a bad escape", with_fields("Host: h%4\r\n"), 400},
      {"an absolute target and no Host", "GET http://h/ HTTP/1.1\r\n\r\n", 400},
      // The length of the body, RFC 9112 section 6: what smuggling is made of.
      {"length and chunks", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), 400},
      {"two lengths", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abc"), 400},
      {"the same length twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400},
      {"a list of lengths", post("Content-Length: 3, 3\r\n", "abc"), 400},
      {"an empty length", post("Content-Length:\r\n"), 400},
      {"a signed length", post("Content-Length: +3\r\n", "abc"), 400},
      {"a negative length", post("Content-Length: -3\r\n", "abc"), 400},
      {"a hexadecimal length", post("Content-Length: 0x3\r\n", "abc"), 400},
      {"a length with a space in it", post("Content-Length: 3 3\r\n", "abc"), 400},
      {"a length beyond 64 bits", post("Content-Length: 18446744073709551617\r\n", "a"), 400},
      {"a large length", post("Content-Length: 18446744073709551615\r\n", "a"), 413},
      {"a folded length", post("Content-Length: 3\r\n 4\r\n", "abc"), 400},
      {"an unknown coding", post("Transfer-Encoding: gzip\r\n"), 400},
      {"a coding that only ends so", post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 400},
      {"a coding before chunked", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 501},
      {"identity before chunked", post("Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n"), 501},
      {"a coding behind chunked", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), 400},
      {"chunked twice", post("Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"), 400},
      {"two fields of coding", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), 400},
      {"two fields, the last chunked", post("Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
       400},
      {"an empty coding", post("Transfer-Encoding:\r\n"), 400},
      {"chunked in quotes", post("Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"), 400},
      {"chunked with a vertical tab",
       post("Transfer-Encoding: \x0b"
            "chunked\r\n",
            "0\r\n\r\n"),
       400},
      {"chunks in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a chunk size that is none", post("Transfer-Encoding: chunked\r\n", "x\r\n"), 400},
      {"a chunk size with 0x", post("Transfer-Encoding: chunked\r\n", "0x1\r\na\r\n0\r\n\r\n"), 400},
      {"a negative chunk size", post("Transfer-Encoding: chunked\r\n", "-1\r\na\r\n0\r\n\r\n"), 400},
      {"a chunk size beyond 64 bits", post("Transfer-Encoding: chunked\r\n", "10000000000000000\r\n"), 400},
      {"no chunk size", post("Transfer-Encoding: chunked\r\n", "\r\na\r\n0\r\n\r\n"), 400},
      {"a chunk that is longer than it says", post("Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n"), 400},
      {"a bare LF behind a chunk size", post("Transfer-Encoding: chunked\r\n", "1\na\r\n0\r\n\r\n"), 400},
      {"a bare LF behind a chunk", post("Transfer-Encoding: chunked\r\n", "1\r\na\n0\r\n\r\n"), 400},
      {"a chunk size with a space before it", post("Transfer-Encoding: chunked\r\n", " 1\r\na\r\n0\r\n\r\n"), 400},
      // Expectations, RFC 9110 section 10.1.1.
      {"an unknown expectation", post("Expect: 200-ok\r\nContent-Length: 1\r\n", "a"), 417},
      {"an unknown expectation without a body", with_host("Expect: magic\r\n"), 417},
      // What is odd but right.
      {"a plain request", with_host(""), 200},
      {"empty lines before it", "\r\n\r\n" + with_host(""), 200},
      {"an empty Host", with_fields("Host:\r\n"), 200},
      {"a Host with a port", with_fields("Host: example.com:8080\r\n"), 200},
      {"a Host with an empty port", with_fields("Host: example.com:\r\n"), 200},
      {"an IPv6 Host", with_fields("Host: [2001:db8::1]:80\r\n"), 200},
      {"a Host with an escape", with_fields("Host: h%41\r\n"), 200},
      {"no Host in 1.0", "GET / HTTP/1.0\r\n\r\n", 200},
      {"white space around a value", with_host("X: \t y \t \r\n"), 200},
      {"no white space before a value", with_host("X:y\r\n"), 200},
      {"bytes beyond ASCII in a value", with_host("X: \xc3\xa4\r\n"), 200},
      {"every token character in a name", with_host("!#$%&'*+-.^_`|~09azAZ: y\r\n"), 200},
      {"a length of zero", post("Content-Length: 0\r\n"), 200},
      {"a length with leading zeros", post("Content-Length: 0003\r\n", "abc"), 200},
      {"chunks in capitals", post("TRANSFER-ENCODING: CHUNKED\r\n", "A\r\n0123456789\r\n000\r\n\r\n"), 200},
      {"an absolute target", line("GET http://h/ HTTP/1.1"), 200},
      {"OPTIONS of the whole server", line("OPTIONS * HTTP/1.1"), 200},
      {"an upgrade that is ignored", with_host("Connection: Upgrade\r\nUpgrade: websocket\r\n"), 200},
  };
  return all;
}

// What a session says to a request in pieces of the given sizes, the last one as long as it takes.
std::string say(const std::string& request, std::size_t split, std::size_t piece) {
  Echo handler;
  const http::Limits limits;
  http::Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
  std::string said = converse(session, std::string_view(request).substr(0, split));
  for (std::size_t at = split; at < request.size(); at += piece)
    said += converse(session, std::string_view(request).substr(at, piece));
  const int status = said.empty() ? 0 : answers_in(said).at(0).status;
  if (status >= 400) {
    CHECK(session.finished());
    CHECK(session.lingering());
    CHECK(handler.seen.empty());
    CHECK(answers_in(said).size() == 1);
    CHECK(answers_in(said).at(0).field("Connection") == "close");
  }
  return said;
}

}  // namespace

TEST_CASE("malformed requests are refused with their status, odd ones are served") {
  for (const Case& one : cases()) {
    INFO(one.name);
    const std::string said = say(one.request, one.request.size(), 1);
    REQUIRE_FALSE(said.empty());
    CHECK(answers_in(said).at(0).status == one.status);
  }
}

TEST_CASE("how a malformed request is split changes nothing") {
  for (const Case& one : cases()) {
    INFO(one.name);
    const std::string whole = say(one.request, one.request.size(), 1);
    CHECK(say(one.request, 0, 1) == whole);
    for (std::size_t split = 1; split < one.request.size(); ++split)
      REQUIRE(say(one.request, split, std::string::npos - split) == whole);
  }
}

TEST_CASE("a malformed request behind a good one is refused after the good one is answered") {
  for (const Case& one : cases()) {
    if (one.status == 200) continue;
    INFO(one.name);
    Echo handler;
    const http::Limits limits;
    http::Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
    const std::vector<Answer> answers =
        answers_in(converse(session, "GET /first HTTP/1.1\r\nHost: h\r\n\r\n" + one.request));
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].body == "GET /first\n");
    CHECK(answers[1].status == one.status);
  }
}
