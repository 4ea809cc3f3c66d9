// Bodies of requests that the application takes piece by piece, as they come.
#include <catch2/catch.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "http/session.hpp"
#include "http_driver.hpp"

namespace prong::http {
namespace {

using namespace prong::test;

// Takes every body in pieces; answers with it.
class Taker final : public Handler {
 public:
  class Sink final : public BodySink {
   public:
    explicit Sink(Taker& taker) : taker_(&taker) { ++taker_->alive; }
    Sink(const Sink&) = delete;
    Sink& operator=(const Sink&) = delete;
    Sink(Sink&&) = delete;
    Sink& operator=(Sink&&) = delete;
    ~Sink() override { --taker_->alive; }
    [[nodiscard]] Wants take(std::string_view bytes) override {
      CHECK(!bytes.empty());
      taken += bytes;
      if (taken.contains("throw")) throw std::runtime_error("thrown");
      return taken.contains("enough") ? Wants::kNothing : Wants::kMore;
    }
    std::string taken;

   private:
    Taker* taker_;
  };

  [[nodiscard]] BodyUse body_use(const Request& /*request*/) override { return BodyUse::kPass; }
  [[nodiscard]] std::unique_ptr<BodySink> body_sink(const Request& /*request*/) override {
    return std::make_unique<Sink>(*this);
  }
  [[nodiscard]] Answer handle(const Request& request) override {
    ++handled;
    CHECK(request.body == nullptr);
    if (request.sink == nullptr) return Response{.body = std::string("no body\n")};
    return Response{.body = "took " + static_cast<Sink*>(request.sink)->taken + "\n"};
  }
  int alive = 0;
  int handled = 0;
};

struct Fixture {
  Taker handler;
  Limits limits;
  Session session = Session({.handler = &handler, .limits = &limits, .clock = clock_at_rest, .connection = 7});

  std::string operator()(std::string_view piece) { return converse(session, piece); }
};

constexpr std::string_view kHead = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n";
constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

TEST_CASE("the application takes a body as it comes, and is called when all of it has come", "[http]") {
  Fixture fixture;
  CHECK(fixture(kHead).empty());
  CHECK(fixture.handler.alive == 1);
  CHECK(fixture("01234").empty());
  CHECK(fixture.handler.handled == 0);
  CHECK(fixture("56789").ends_with("took 0123456789\n"));
  CHECK(fixture.handler.alive == 0);
  CHECK(fixture(kGet).ends_with("no body\n"));
}

TEST_CASE("chunks are taken without what stands between them", "[http]") {
  Fixture fixture;
  CHECK(fixture("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
            .ends_with("took abcde\n"));
}

TEST_CASE("a client who waits for 100 gets it when the application takes the body", "[http]") {
  Fixture fixture;
  CHECK(fixture("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n") ==
        "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(fixture("ab").ends_with("took ab\n"));
}

TEST_CASE("an application that has seen enough answers at once, and the connection ends", "[http]") {
  Fixture fixture;
  CHECK(fixture("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n").empty());
  const std::string answer = fixture("enough");
  CHECK(answer.ends_with("took enough\n"));
  CHECK(answer.contains("Connection: close\r\n"));
  CHECK(fixture.session.finished());
  CHECK(fixture.session.lingering());
  CHECK(fixture.handler.alive == 0);
}

// Found by fuzzing: they came after the answer, or after the reason for 500, when the client's bytes came in pieces.
TEST_CASE("what stands behind the piece that was enough, or that failed, changes nothing", "[http]") {
  constexpr std::string_view kChunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  Fixture fixture;
  CHECK(fixture(std::string(kChunked) + "6\r\nenough\r\nfff00000\r\n").ends_with("took enough\n"));
  Fixture failing;
  CHECK(failing(std::string(kChunked) + "5\r\nthrow\r\nfff00000\r\n").starts_with("HTTP/1.1 500 "));
}

TEST_CASE("what an application throws at a piece is answered with 500, and it is not called", "[http]") {
  Fixture fixture;
  CHECK(fixture(kHead).empty());
  CHECK(fixture("throw").starts_with("HTTP/1.1 500 "));
  CHECK(fixture.session.take_failure() == "thrown, in POST /");
  CHECK(fixture.handler.handled == 0);
  CHECK(fixture.handler.alive == 0);
}

TEST_CASE("a body that grows beyond max_body is refused, however it is taken", "[http]") {
  Fixture fixture;
  fixture.limits.max_body = {5};
  CHECK(fixture("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").empty());
  CHECK(fixture("3\r\ndef\r\n").starts_with("HTTP/1.1 413 "));
  CHECK(fixture.handler.handled == 0);
  CHECK(fixture.handler.alive == 0);
}

TEST_CASE("a sink goes with its client", "[http]") {
  Taker handler;
  const Limits limits;
  {
    Session session({.handler = &handler, .limits = &limits, .clock = clock_at_rest, .connection = 7});
    CHECK(converse(session, kHead).empty());
    CHECK(handler.alive == 1);
  }
  CHECK(handler.alive == 0);
  CHECK(handler.handled == 0);
}

}  // namespace
}  // namespace prong::http
