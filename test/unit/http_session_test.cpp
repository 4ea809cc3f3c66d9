// The session as a connection drives it: what goes in, in whatever pieces, and what comes out.
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "http/session.hpp"
#include "http_driver.hpp"

using namespace prong;
using namespace prong::test;
using http::Phase;
using http::Session;

namespace {

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";

struct Fixture {
  Echo handler = {};
  http::Limits limits = {};
  Session session = Session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});

  std::string operator()(std::string_view bytes) { return converse(session, bytes); }
  Answer only_answer(std::string_view bytes) {
    const std::vector<Answer> answers = answers_in((*this)(bytes), handler.seen);
    REQUIRE(answers.size() == 1);
    return answers[0];
  }
};

}  // namespace

TEST_CASE("an answer has the date, the server, its length and its body") {
  Fixture fixture;
  CHECK(
      fixture(kGet) ==
      "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: prongd\r\nContent-Length: 7\r\n\r\nGET /a\n");
  CHECK(fixture.session.requests() == 1);
  CHECK(fixture.session.wants_read());
  CHECK_FALSE(fixture.session.finished());
  CHECK(fixture.session.phase() == Phase::kIdle);
  CHECK(fixture.session.buffered() == 0);
}

TEST_CASE("the Server field can be left out") {
  Echo handler;
  const http::Limits limits{.server_header = false};
  Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
  CHECK(converse(session, kGet).find("Server") == std::string::npos);
}

TEST_CASE("however a stream of requests is split, the answers are the same") {
  const std::string stream =
      "GET /one?x=1 HTTP/1.1\r\nHost: h\r\nX-A:  b \r\nX-Empty:\r\n\r\n"
      "\r\n"
      "POST /two HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\nGET / HTTP/"
      "HEAD /three HTTP/1.1\r\nHost: h\r\n\r\n"
      "PUT /four HTTP/1.1\r\nhost: h\r\ntransfer-encoding: Chunked\r\n\r\n"
      "5;ext=\"v\"\r\nabcde\r\n3\r\nfgh\r\n0\r\nTrailer: x\r\nHost: y\r\n\r\n"
      "GET /throw HTTP/1.1\r\nHost: h\r\n\r\n"
      "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET http://other:80/five?q HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
      "GET /304 HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /large HTTP/1.1\r\nHost: h\r\n\r\n"
      "GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
      "GET /never HTTP/1.1\r\nHost: h\r\n\r\n";
  Fixture whole;
  const std::string expected = whole(stream);
  REQUIRE(whole.handler.seen.size() == 10);
  const std::vector<Answer> answers = answers_in(expected, whole.handler.seen);
  REQUIRE(answers.size() == 10);
  CHECK(answers[0].field("X-A") == "b");
  CHECK(answers[2].body.empty());
  CHECK(answers[2].field("Content-Length") == "12");
  CHECK(answers[4].status == 500);
  CHECK(answers[8].body.size() == 100'000);
  CHECK(answers[9].field("Connection") == "close");
  CHECK(whole.session.finished());

  for (std::size_t split = 0; split <= stream.size(); ++split) {
    Fixture halves;
    std::string said = halves(stream.substr(0, split));
    said += halves(stream.substr(split));
    REQUIRE(said == expected);
  }
  for (std::size_t first = 0; first <= stream.size(); first += 3) {
    Fixture thirds;
    const std::size_t second = first + (stream.size() - first) / 2;
    std::string said = thirds(stream.substr(0, first));
    said += thirds(stream.substr(first, second - first));
    said += thirds(stream.substr(second));
    REQUIRE(said == expected);
  }
  Fixture bytes;
  std::string said;
  for (const char byte : stream) said += bytes(std::string_view(&byte, 1));
  CHECK(said == expected);
}

TEST_CASE("bytes that come while output waits are kept, and answered after it") {
  Fixture fixture;
  fixture.session.receive(bytes_of("GET /large HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK_FALSE(fixture.session.wants_read());
  CHECK(fixture.session.phase() == Phase::kSending);
  fixture.session.receive(bytes_of(kGet));
  CHECK(fixture.session.requests() == 1);
  CHECK(fixture.session.buffered() == kGet.size());
  CHECK(answers_in(drain(fixture.session)).size() == 2);
  CHECK(fixture.session.requests() == 2);
  CHECK(fixture.session.buffered() == 0);
}

TEST_CASE("pipelined requests stop being answered when enough output waits") {
  Fixture fixture;
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kGet;
  fixture.session.receive(bytes_of(many));
  CHECK(fixture.session.output().size() < 20'000);
  CHECK(fixture.session.requests() < 200);
  CHECK(answers_in(drain(fixture.session)).size() == 1000);
}

TEST_CASE("small pipelined answers leave in one piece of memory") {
  Fixture fixture;
  fixture.session.receive(bytes_of(std::string(kGet) + std::string(kGet)));
  CHECK(answers_in(fixture.session.output().memory()).size() == 2);
  CHECK_FALSE(fixture.session.output().more_follows());
}

TEST_CASE("the phase says what is waited for") {
  Fixture fixture;
  CHECK(fixture.session.phase() == Phase::kIdle);
  (void)fixture("\r\n");
  CHECK(fixture.session.phase() == Phase::kIdle);
  (void)fixture("G");
  CHECK(fixture.session.phase() == Phase::kHeader);
  (void)fixture("ET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r");
  CHECK(fixture.session.phase() == Phase::kHeader);
  (void)fixture("\n");
  CHECK(fixture.session.phase() == Phase::kBody);
  (void)fixture("ab");
  CHECK(fixture.session.phase() == Phase::kBody);
  fixture.session.receive(bytes_of("c"));
  CHECK(fixture.session.phase() == Phase::kSending);
  (void)drain(fixture.session);
  CHECK(fixture.session.phase() == Phase::kIdle);
  (void)fixture("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(fixture.session.phase() == Phase::kClosed);
  CHECK_FALSE(fixture.session.wants_read());
}

TEST_CASE("a method that llhttp does not know is 501 when its line is whole") {
  Fixture fixture;
  CHECK(fixture("FROB").empty());
  CHECK(fixture.session.phase() == Phase::kHeader);
  CHECK(fixture.only_answer(" / HTTP/1.1\r\n").status == 501);
}

// Found by the fuzzer: llhttp tells of a target only when a call ends in it.
TEST_CASE("the preface of HTTP/2 with a bad target is judged when its line is whole, in whatever pieces it comes") {
  for (const std::vector<std::string_view>& pieces : {std::vector<std::string_view>{"PRI e;"}, {"PRI e", ";"}}) {
    Fixture fixture;
    std::string said;
    for (const std::string_view piece : pieces) said += fixture(piece);
    CHECK(said.empty());
    CHECK(fixture.session.phase() == Phase::kHeader);
    CHECK(fixture.only_answer(" HTTP/1.1\r\n").status == 501);
  }
}

TEST_CASE("HTTP/1.0 closes unless both sides say keep-alive") {
  Fixture closing;
  CHECK(closing.only_answer("GET / HTTP/1.0\r\n\r\n").field("Connection") == "close");
  CHECK(closing.session.finished());
  CHECK_FALSE(closing.session.lingering());
  Fixture staying;
  CHECK(staying.only_answer("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").field("Connection") == "keep-alive");
  CHECK_FALSE(staying.session.finished());
}

TEST_CASE("HTTP/1.1 stays open without a word") {
  Fixture fixture;
  CHECK(fixture.only_answer(kGet).field("Connection").empty());
  CHECK_FALSE(fixture.session.finished());
}

TEST_CASE("HEAD, 204 and 304 have no body") {
  Fixture fixture;
  CHECK(fixture("HEAD /large HTTP/1.1\r\nHost: h\r\n\r\n").ends_with("Content-Length: 100000\r\n\r\n"));
  for (const char* path : {"/204", "/304"}) {
    const Answer answer = fixture.only_answer("GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(answer.field("Content-Length").empty());
    CHECK(answer.body.empty());
    fixture.handler.seen.clear();
  }
}

TEST_CASE("the target is taken apart") {
  struct Row {
    std::string_view target, host, path, query;
  };
  const auto row =
      GENERATE(Row{"/", "h", "/", ""}, Row{"/a%20b?x=/?&y", "h", "/a%20b", "x=/?&y"}, Row{"/?", "h", "/", ""},
               Row{"//x/y", "h", "//x/y", ""}, Row{"http://other", "other", "/", ""},
               Row{"HTTP://other:81?q", "other:81", "/", "q"}, Row{"https://[::1]:8/p?q", "[::1]:8", "/p", "q"});
  Fixture fixture;
  CHECK(fixture.only_answer("GET " + std::string(row.target) + " HTTP/1.1\r\nHost: h\r\n\r\n").status == 200);
  CHECK(fixture.handler.last_host == row.host);
  CHECK(fixture.handler.last_path == row.path);
  CHECK(fixture.handler.last_query == row.query);
}

TEST_CASE("the bodies of requests are dropped and the connection stays in step") {
  Fixture fixture;
  const std::string body(1000, 'x');
  std::string stream = "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + body;
  stream += "GET /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + body + "\r\n0\r\n\r\n";
  const std::vector<Answer> answers = answers_in(fixture(stream + std::string(kGet)));
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].body == "GET /a\n");
  CHECK(answers[1].body == "GET /b\n");
}

TEST_CASE("a long body passes through without being kept") {
  Fixture fixture;
  (void)fixture("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n");
  const std::size_t head_size = fixture.session.buffered();
  const std::string part(1000, 'x');
  for (int i = 0; i < 999; ++i) {
    CHECK(fixture(part).empty());
    CHECK(fixture.session.buffered() == head_size);
  }
  CHECK(fixture.only_answer(part).body == "POST /a\n");
}

TEST_CASE("a body beyond the limit is 413 and the end, one that nobody wants is not read beyond its own") {
  Fixture known;
  CHECK(known.only_answer("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 16777217\r\n\r\n").status == 413);
  CHECK(known.handler.seen.empty());
  CHECK(known.session.finished());
  CHECK(known.session.lingering());

  Fixture chunked;
  CHECK(chunked("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").empty());
  std::string said;
  std::size_t chunks = 0;
  for (; said.empty() && chunks < 1'000'000; ++chunks) said += chunked("10\r\n0123456789abcdef\r\n");
  // The application's answer, and the end: a body that nobody wants is not read for ever.
  CHECK(answers_in(said).at(0).status == 200);
  CHECK(answers_in(said).at(0).field("Connection") == "close");
  CHECK(chunks == (1U << 20U) / 16 + 1);
}

TEST_CASE("a large body that nobody wants is not read: the answer comes at once, and is the last") {
  Fixture fixture;
  CHECK(fixture.only_answer("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n").status == 200);
  CHECK(fixture.session.finished());
  CHECK(fixture.session.lingering());
}

TEST_CASE("endless trailers and chunk extensions are 413") {
  Fixture trailers;
  (void)trailers("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
  std::string said;
  for (int i = 0; said.empty() && i < 1'000'000; ++i)
    said += trailers("X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n");
  CHECK(answers_in(said).at(0).status == 413);
  Fixture extensions;
  (void)extensions("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;x=");
  said.clear();
  for (int i = 0; said.empty() && i < 1'000'000; ++i)
    said += extensions("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
  CHECK(answers_in(said).at(0).status == 413);
}

TEST_CASE("a head may be exactly as large as the limit") {
  const http::Limits limits{.max_header = {1024}};
  for (const std::size_t size : {1023U, 1024U, 1025U}) {
    Echo handler;
    Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
    std::string head = "GET / HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n";
    head.insert(head.size() - 4, size - head.size(), 'x');
    CHECK(answers_in(converse(session, head)).at(0).status == (size <= 1024 ? 200 : 431));
    CHECK(session.finished() == (size > 1024));
  }
}

TEST_CASE("a request line beyond the limit is 414, fields beyond it 431") {
  const http::Limits limits{.max_header = {1024}, .max_fields = 10};
  const auto status = [&limits](const std::string& head) {
    Echo handler;
    Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
    const int whole = answers_in(converse(session, head)).at(0).status;
    Session bytewise({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
    std::string said;
    for (const char byte : head) said += converse(bytewise, std::string_view(&byte, 1));
    CHECK(answers_in(said).at(0).status == whole);
    CHECK(bytewise.buffered() <= 1024);
    return whole;
  };
  CHECK(status("GET /" + std::string(2000, 'a')) == 414);
  CHECK(status("FROB" + std::string(2000, 'A')) == 414);
  CHECK(status("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(2000, 'a')) == 431);
  CHECK(status("GET / HTTP/1.1\r\nHost: h\r\n" + std::string(2000, 'a')) == 431);
  std::string fields;
  for (int i = 0; i < 10; ++i) fields += "X: y\r\n";
  CHECK(status("GET / HTTP/1.0\r\n" + fields + "\r\n") == 200);
  CHECK(status("GET / HTTP/1.0\r\n" + fields + "X: y\r\n\r\n") == 431);
  std::string empty_lines;
  for (int i = 0; i < 1000; ++i) empty_lines += "\r\n";
  CHECK(status(empty_lines) == 414);
}

TEST_CASE("a field counts when its name is whole, so that pieces make no difference") {
  const http::Limits limits{.max_fields = 2};
  for (const std::size_t piece : {1U, 3U, 1000U}) {
    Echo handler;
    Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
    const std::string head = "GET / HTTP/1.0\r\nA:\r\nB:\r\nC\n";
    std::string said;
    for (std::size_t at = 0; at < head.size(); at += piece)
      said += converse(session, std::string_view(head).substr(at, piece));
    CHECK(answers_in(said).at(0).status == 400);
  }
}

TEST_CASE("after announce_close an idle session serves one more request and says so") {
  Fixture fixture;
  (void)fixture(kGet);
  fixture.session.announce_close();
  CHECK(fixture.session.wants_read());
  CHECK_FALSE(fixture.session.finished());
  CHECK(fixture.session.phase() == Phase::kIdle);
  CHECK(fixture.only_answer(kGet).field("Connection") == "close");
  CHECK(fixture.session.finished());
  CHECK(fixture.session.lingering());
  CHECK(fixture(kGet).empty());
}

TEST_CASE("announce_close while a request arrives makes its answer the last one") {
  Fixture fixture;
  (void)fixture(kGet.substr(0, 10));
  fixture.session.announce_close();
  CHECK(fixture.only_answer(kGet.substr(10)).field("Connection") == "close");
  CHECK(fixture.session.finished());
}

TEST_CASE("after announce_close requests that came together are all answered, but not without end") {
  Fixture fixture;
  fixture.session.announce_close();
  const std::vector<Answer> answers = answers_in(fixture(std::string(kGet) + std::string(kGet) + std::string(kGet)));
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].field("Connection").empty());
  CHECK(answers[1].field("Connection").empty());
  CHECK(answers[2].field("Connection") == "close");
  Fixture endless;
  endless.session.announce_close();
  std::string many;
  for (int i = 0; i < 1000; ++i) many += kGet;
  CHECK(answers_in(endless(many)).size() == 65);
  CHECK(endless.session.finished());
}

TEST_CASE("a client that has ended its side still gets what it asked for") {
  Fixture fixture;
  fixture.session.receive(bytes_of(std::string(kGet) + std::string(kGet) + "GET /half"));
  fixture.session.receive_end();
  CHECK(answers_in(drain(fixture.session)).size() == 2);
  CHECK(fixture.session.finished());
  CHECK_FALSE(fixture.session.lingering());

  Fixture blocked;
  blocked.session.receive(bytes_of("GET /large HTTP/1.1\r\nHost: h\r\n\r\n" + std::string(kGet)));
  blocked.session.receive_end();
  CHECK_FALSE(blocked.session.finished());
  CHECK(answers_in(drain(blocked.session)).size() == 2);
  CHECK(blocked.session.finished());

  Fixture idle;
  idle.session.receive_end();
  CHECK(idle.session.finished());
  CHECK(idle.session.phase() == Phase::kClosed);
}

TEST_CASE("a request that takes too long is 408") {
  Fixture fixture;
  (void)fixture("HEAD / HTTP");
  fixture.session.request_timed_out();
  const Answer answer = answers_in(drain(fixture.session), {"HEAD"}).at(0);
  CHECK(answer.status == 408);
  CHECK(answer.field("Connection") == "close");
  CHECK(fixture.session.finished());
  CHECK(fixture.session.lingering());
  CHECK(fixture.session.buffered() == 0);

  Fixture body;
  (void)body("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
  body.session.request_timed_out();
  CHECK(answers_in(drain(body.session)).at(0).status == 408);

  Fixture idle;
  idle.session.request_timed_out();
  CHECK(drain(idle.session).empty());
  CHECK(idle.session.finished());
}

TEST_CASE("a client that waits for 100 (Continue) gets the answer and the end") {
  Fixture fixture;
  const Answer answer =
      fixture.only_answer("PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.field("Connection") == "close");
  CHECK(fixture.session.finished());
  CHECK(fixture.session.lingering());
  Fixture old;
  CHECK(old("PUT /a HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n").empty());
  CHECK(old.only_answer("12345").status == 200);
}

TEST_CASE("an exception of the handler is 500, told to the worker, and the connection goes on") {
  Fixture fixture;
  CHECK(fixture.only_answer("GET /throw HTTP/1.1\r\nHost: h\r\n\r\n").status == 500);
  CHECK(fixture.session.take_failure() == "thrown, in GET /throw");
  CHECK(fixture.session.take_failure().empty());
  CHECK(answers_in(fixture(kGet)).at(0).status == 200);
}

TEST_CASE("a handler cannot be made to split an answer") {
  Fixture fixture;
  const Answer answer = fixture.only_answer("GET /a HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n");
  CHECK(answer.field("X-A") == "b");
  http::ResponseHeaders headers;
  headers.add("Location", std::string_view("/a\r\nSet-Cookie: x\0y", 19));
  CHECK(headers.text() == "Location: /a  Set-Cookie: x y\r\n");
  CHECK(headers.find("location") == "/a  Set-Cookie: x y");
  CHECK_FALSE(headers.find("set-cookie").has_value());
}

TEST_CASE("a file follows its head and is closed when it has been sent") {
  class Files final : public http::Handler {
   public:
    [[nodiscard]] http::Answer handle(const http::Request& /*request*/) override {
      std::string name = "/tmp/prongd-http-XXXXXX";
      os::UniqueFd file(::mkstemp(name.data()));
      ::unlink(name.c_str());
      CHECK(::write(file.get(), "0123456789", 10) == 10);
      last = file.get();
      return http::Response{.body = http::FileBody{
                                .file = std::make_shared<const os::UniqueFd>(std::move(file)), .offset = 2, .size = 5}};
    }
    int last = -1;
  };
  Files handler;
  const http::Limits limits;
  Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest});
  session.receive(bytes_of(std::string(kGet) + std::string(kGet)));
  CHECK(session.requests() == 1);
  CHECK(session.output().holds_file());
  CHECK(session.output().more_follows());
  CHECK(take(session.output(), session.output().memory().size()).ends_with("\r\n\r\n"));
  REQUIRE(session.output().front_is_file());
  CHECK(session.output().file().offset == 2);
  CHECK(session.output().size() == 5);
  CHECK(take(session.output(), 2) == "23");
  const int first = session.output().file().file->get();
  CHECK(take(session.output(), 3) == "456");
  CHECK(session.output().empty());
  CHECK(::fcntl(first, F_GETFD) == -1);
  session.resume();
  CHECK(session.requests() == 2);

  (void)drain(session);
  session.receive(bytes_of("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"));
  CHECK_FALSE(session.output().holds_file());
  CHECK(::fcntl(handler.last, F_GETFD) == -1);
}
