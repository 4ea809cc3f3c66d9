// Bodies of requests that the application wants, and answers that come later or in parts.
#include <catch2/catch.hpp>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "http/session.hpp"
#include "http_driver.hpp"

namespace prong::http {
namespace {

using namespace prong::test;

// Wants every body; answers with it, or later.
class Keeper final : public Handler {
 public:
  [[nodiscard]] BodyUse body_use(const Request& request) override {
    ++asked;
    CHECK(request.body == nullptr);
    return request.path == "/drop" ? BodyUse::kDrop : BodyUse::kKeep;
  }
  [[nodiscard]] Answer handle(const Request& request) override {
    last_connection = request.connection;
    if (request.body == nullptr) return Response{.body = std::string("no body\n")};
    was_in_file = request.body->in_file();
    std::string body(static_cast<std::size_t>(request.body->size()), '\0');
    REQUIRE(request.body->read(0, body).value_or(0) == body.size());
    bodies.push_back(body);
    if (request.path == "/later") return Later{};
    return Response{.body = "got " + std::to_string(body.size()) + "\n"};
  }

  int asked = 0;
  bool was_in_file = false;
  std::uint64_t last_connection = 0;
  std::vector<std::string> bodies;
};

// Gives what it is told to give.
class Script final : public BodySource {
 public:
  struct Step {
    State state;
    std::string text = {};
    bool is_lent = false;
  };
  Script(std::deque<Step>& steps, std::optional<std::uint64_t> size, int& alive)
      : steps_(&steps), size_(size), alive_(&alive) {
    ++*alive_;
  }
  ~Script() override { --*alive_; }
  Script(const Script&) = delete;
  Script& operator=(const Script&) = delete;
  Script(Script&&) = delete;
  Script& operator=(Script&&) = delete;

  [[nodiscard]] SharedText lend() override {
    if (steps_->empty() || !steps_->front().is_lent) return {};
    const auto text = std::make_shared<std::string>(std::move(steps_->front().text));
    steps_->pop_front();
    return {.owner = text, .text = *text};
  }
  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    CHECK(most > 0);
    if (steps_->empty()) return State::kWait;
    const Step step = steps_->front();
    steps_->pop_front();
    into += step.text;
    return step.state;
  }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return size_; }

 private:
  std::deque<Step>* steps_;
  std::optional<std::uint64_t> size_;
  int* alive_;
};

class Streamer final : public Handler {
 public:
  [[nodiscard]] Answer handle(const Request& request) override {
    if (request.path == "/plain") return Response{.body = std::string("plain")};
    return Response{.body = std::make_unique<Script>(steps, size, alive)};
  }
  std::deque<Script::Step> steps;
  std::optional<std::uint64_t> size;
  int alive = 0;
};

template <class HandlerType>
struct Fixture {
  HandlerType handler;
  Limits limits;
  Session session = Session({.handler = &handler, .limits = &limits, .clock = clock_at_rest, .connection = 7});

  std::string operator()(std::string_view piece) { return converse(session, piece); }
};

std::string post(std::string_view path, const std::string& body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kGetPlain = "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n";
using State = BodySource::State;

}  // namespace

TEST_CASE("a source may lend large bytes between those that it gives: in chunks, by its size, and cut to its size") {
  const std::string large(100'000, 'l');
  const std::string larger(70'000, 'm');
  std::string all = large;
  all.append("and").append(larger).append("!");
  for (const std::optional<std::uint64_t> size :
       {std::optional<std::uint64_t>{}, std::optional<std::uint64_t>{170'004}, std::optional<std::uint64_t>{150'000}}) {
    Fixture<Streamer> fixture;
    fixture.handler.size = size;
    fixture.handler.steps = {{.state = State::kMore, .text = large, .is_lent = true},
                             {.state = State::kMore, .text = "and"},
                             {.state = State::kMore, .text = larger, .is_lent = true},
                             {.state = State::kEnd, .text = "!"}};
    const auto answers = answers_in(fixture(kGet) + fixture(kGetPlain));
    REQUIRE(answers.size() == 2);
    CHECK(answers[0].body == all.substr(0, size.value_or(170'004)));
    CHECK(answers[1].body == "plain");
    CHECK(fixture.handler.alive == 0);
  }
}

TEST_CASE("a body that the application wants comes whole, in whatever pieces it arrived") {
  const std::string body = "0123456789";
  const std::string chunked =
      "POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\n012\r\n7\r\n3456789\r\n0\r\nT: "
      "x\r\n\r\n";
  for (const std::string& request : {post("/x", body), chunked}) {
    for (std::size_t split = 0; split < request.size(); ++split) {
      Fixture<Keeper> fixture;
      std::string said = fixture(request.substr(0, split));
      said += fixture(request.substr(split));
      REQUIRE(answers_in(said).at(0).body == "got 10\n");
      REQUIRE(fixture.handler.bodies == std::vector{body});
      REQUIRE(fixture.handler.asked == 1);
      REQUIRE(fixture.session.phase() == Phase::kIdle);
    }
  }
}

TEST_CASE("a body beyond body_buffer goes to a file, up to it stays in memory") {
  for (const std::size_t size : {64U << 10U, (64U << 10U) + 1, 300'000U}) {
    Fixture<Keeper> fixture;
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; i += 7) body[i] = static_cast<char>('a' + i % 26);
    const std::string request = post("/x", body);
    std::string said;
    for (std::size_t at = 0; at < request.size(); at += 5'000) said += fixture(request.substr(at, 5'000));
    CHECK(answers_in(said).at(0).status == 200);
    CHECK(fixture.handler.bodies.at(0) == body);
    CHECK(fixture.handler.was_in_file == (size > (64U << 10U)));
    CHECK(fixture.session.buffered() == 0);
  }
}

TEST_CASE("a body that cannot be stored is 507, is told, and ends the connection") {
  Fixture<Keeper> fixture;
  fixture.limits.body_dir = "/nonexistent";
  const std::string said = fixture(post("/x", std::string(70'000, 'x')));
  CHECK(answers_in(said).at(0).status == 507);
  CHECK(fixture.session.finished());
  CHECK(fixture.handler.bodies.empty());
  CHECK(fixture.session.take_failure().contains("/nonexistent"));
}

TEST_CASE("the limit of a body holds for both codings, and nothing of it reaches the application") {
  Fixture<Keeper> length;
  length.limits.max_body = {10};
  CHECK(answers_in(length(post("/x", std::string(10, 'x')))).at(0).status == 200);
  CHECK(answers_in(length(post("/x", std::string(11, 'x')))).at(0).status == 413);
  CHECK(length.session.finished());
  Fixture<Keeper> chunked;
  chunked.limits.max_body = {10};
  CHECK(answers_in(chunked("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n"))
            .at(0)
            .status == 413);
  CHECK(chunked.handler.bodies.empty());
}

TEST_CASE("100 (Continue) is said when the application wants the body, and only to who waits for it") {
  const std::string head = "POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
  Fixture<Keeper> waits;
  CHECK(waits(head) == "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(waits.session.wants_read());
  CHECK(waits.session.phase() == Phase::kBody);
  CHECK(answers_in(waits("ok")).at(0).body == "got 2\n");
  CHECK_FALSE(waits.session.finished());

  Fixture<Keeper> does_not_wait;
  CHECK(answers_in(does_not_wait(head + "ok")).at(0).body == "got 2\n");

  Fixture<Keeper> not_wanted;
  const std::string said = not_wanted("POST /drop" + head.substr(7));
  CHECK(answers_in(said).at(0).body == "no body\n");
  CHECK(answers_in(said).at(0).field("Connection") == "close");
  CHECK(not_wanted.session.finished());

  Fixture<Keeper> too_large;
  too_large.limits.max_body = {1};
  CHECK(answers_in(too_large(head)).at(0).status == 413);
}

TEST_CASE("an answer counts as one when all of its body is there, and only if the application was asked for it") {
  Fixture<Streamer> fixture;
  fixture.handler.steps = {{State::kMore, "one"}};
  (void)fixture(kGet);
  CHECK(fixture.session.requests() == 1);
  CHECK(fixture.session.answered() == 0);
  fixture.handler.steps = {{State::kEnd, "two"}};
  (void)drain(fixture.session);
  CHECK(fixture.session.answered() == 1);
  (void)fixture(std::string(kGetPlain) + std::string(kGetPlain));
  CHECK(fixture.session.answered() == 3);
  (void)fixture("no request\r\n\r\n");
  CHECK(fixture.session.finished());
  CHECK(fixture.session.answered() == 3);

  Fixture<Streamer> broken;
  broken.handler.steps = {{State::kMore, "one"}, {State::kFailed}};
  (void)broken(kGet);
  CHECK(broken.session.broken());
  CHECK(broken.session.requests() == 1);
  CHECK(broken.session.answered() == 0);
}

TEST_CASE("an answer that comes later is sent then, and later requests wait their turn") {
  Fixture<Keeper> fixture;
  CHECK(fixture(post("/later", "abc") + post("/x", "de")).empty());
  CHECK(fixture.session.awaits_answer());
  CHECK(fixture.session.phase() == Phase::kHandling);
  CHECK_FALSE(fixture.session.wants_read());
  CHECK(fixture.handler.last_connection == 7);
  CHECK(fixture.session.requests() == 1);
  CHECK(fixture.session.answered() == 0);
  fixture.session.answer({.body = std::string("at last")});
  const auto answers = answers_in(drain(fixture.session));
  REQUIRE(answers.size() == 2);
  CHECK(fixture.session.answered() == 2);
  CHECK(answers[0].body == "at last");
  CHECK(answers[1].body == "got 2\n");
  CHECK(fixture.session.phase() == Phase::kIdle);
  CHECK(fixture.session.buffered() == 0);
}

TEST_CASE("an answer that comes after the client's end, or after the drain began, is the last") {
  Fixture<Keeper> ended;
  CHECK(ended(post("/later", "abc")).empty());
  ended.session.receive_end();
  CHECK_FALSE(ended.session.finished());
  ended.session.answer({.body = std::string("x")});
  CHECK(answers_in(drain(ended.session)).at(0).body == "x");
  CHECK(ended.session.finished());

  Fixture<Keeper> drained;
  CHECK(drained(post("/later", "abc")).empty());
  drained.session.announce_close();
  drained.session.answer({.body = std::string("x")});
  CHECK(answers_in(drain(drained.session)).at(0).field("Connection") == "close");
  CHECK(drained.session.finished());
}

TEST_CASE("a body of unknown size is sent in chunks, and the connection goes on") {
  Fixture<Streamer> fixture;
  fixture.handler.steps = {{State::kMore, "one "}, {State::kMore, std::string(300, 'x')}, {State::kEnd, " end"}};
  const auto answers = answers_in(fixture(kGet));
  REQUIRE(answers.size() == 1);
  CHECK(answers[0].field("Transfer-Encoding") == "chunked");
  CHECK(answers[0].field("Content-Length").empty());
  CHECK(answers[0].body == "one " + std::string(300, 'x') + " end");
  CHECK(fixture.handler.alive == 0);
  CHECK(answers_in(fixture(kGetPlain)).at(0).body == "plain");
}

TEST_CASE("for HTTP/1.0 a body of unknown size ends with the connection") {
  Fixture<Streamer> fixture;
  fixture.handler.steps = {{State::kMore, "one "}, {State::kEnd, "end"}};
  const std::string said = fixture("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(said.contains("Connection: close\r\n"));
  CHECK_FALSE(said.contains("Transfer-Encoding"));
  CHECK(said.ends_with("\r\n\r\none end"));
  CHECK(fixture.session.finished());
}

TEST_CASE("a body of known size says its length and is held to it") {
  Fixture<Streamer> exact;
  exact.handler.size = 7;
  exact.handler.steps = {{State::kMore, "one "}, {State::kEnd, "end"}};
  CHECK(answers_in(exact(kGet)).at(0).body == "one end");
  CHECK_FALSE(exact.session.finished());

  Fixture<Streamer> longer;
  longer.handler.size = 5;
  longer.handler.steps = {{State::kMore, "one "}, {State::kMore, "end"}, {State::kEnd, "more"}};
  CHECK(answers_in(longer(kGet)).at(0).body == "one e");
  CHECK_FALSE(longer.session.finished());

  Fixture<Streamer> shorter;
  shorter.handler.size = 8;
  shorter.handler.steps = {{State::kMore, "one "}, {State::kEnd, "end"}};
  (void)shorter(kGet);
  CHECK(shorter.session.broken());
  CHECK(shorter.session.finished());
  CHECK(shorter.session.take_failure().contains("size"));
}

TEST_CASE("an application is asked for no more than output_buffer while the client takes nothing") {
  Fixture<Streamer> fixture;
  fixture.limits.output_buffer = {1'000};
  for (int i = 0; i < 1'000; ++i) fixture.handler.steps.push_back({State::kMore, std::string(100, 'x')});
  fixture.handler.steps.push_back({State::kEnd});
  fixture.session.receive(bytes_of(kGet));
  CHECK(fixture.session.output().size() < 1'300);
  CHECK(fixture.session.phase() == Phase::kSending);
  CHECK_FALSE(fixture.session.wants_read());
  std::string said;
  std::size_t rounds = 0;
  // The client takes a little now and then: what waits stays bounded.
  while (fixture.session.phase() == Phase::kSending) {
    said += take(fixture.session.output(), 50);
    fixture.session.resume();
    REQUIRE(fixture.session.output().size() < 1'300);
    ++rounds;
  }
  CHECK(rounds > 1'000);
  CHECK(answers_in(said).at(0).body == std::string(100'000, 'x'));
}

TEST_CASE("a source that has nothing now is asked again when the session is resumed") {
  Fixture<Streamer> fixture;
  fixture.handler.steps = {{State::kWait, "a"}};
  const std::string said = fixture(kGet);
  CHECK(said.ends_with("\r\n\r\n1\r\na\r\n"));
  CHECK(fixture.session.phase() == Phase::kHandling);
  CHECK_FALSE(fixture.session.wants_read());
  fixture.handler.steps = {{State::kEnd, "b"}};
  fixture.session.resume();
  CHECK(drain(fixture.session) == "1\r\nb\r\n0\r\n\r\n");
  CHECK(fixture.session.phase() == Phase::kIdle);
}

TEST_CASE("a source that fails, or gives nothing and says that there is more, breaks the connection off") {
  for (const State state : {State::kFailed, State::kMore}) {
    Fixture<Streamer> fixture;
    fixture.handler.steps = {{State::kMore, "a"}, {state, ""}};
    (void)fixture(std::string(kGet) + std::string(kGetPlain));
    CHECK(fixture.session.broken());
    CHECK(fixture.session.finished());
    CHECK(fixture.handler.alive == 0);
  }
}

TEST_CASE("a HEAD asks the source for nothing, and says the same") {
  Fixture<Streamer> fixture;
  fixture.handler.steps = {{State::kEnd, "a"}};
  const std::string said = fixture("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(said.contains("Transfer-Encoding: chunked\r\n"));
  CHECK(said.ends_with("\r\n\r\n"));
  CHECK(fixture.handler.steps.size() == 1);
  CHECK(fixture.handler.alive == 0);
  CHECK(fixture.session.phase() == Phase::kIdle);
}

TEST_CASE("a session that ends while a body is streamed lets the source go") {
  int alive = 0;
  {
    Fixture<Streamer> fixture;
    fixture.session.receive(bytes_of(kGet));
    CHECK(fixture.session.phase() == Phase::kSending);
    alive = fixture.handler.alive;
  }
  CHECK(alive == 1);
}

TEST_CASE("the last request of a connection is answered with close") {
  Fixture<Keeper> fixture;
  fixture.limits.max_requests = 2;
  CHECK(answers_in(fixture(kGet)).at(0).field("Connection").empty());
  CHECK(answers_in(fixture(kGet)).at(0).field("Connection") == "close");
  CHECK(fixture.session.finished());
}

TEST_CASE("whoever did not ask for the end of the connection, or sent a body, may send on and is lingered for") {
  Fixture<Keeper> last;
  last.limits.max_requests = 1;
  (void)last(kGet);
  CHECK(last.session.finished());
  CHECK(last.session.lingering());

  Fixture<Streamer> open_ended;
  open_ended.handler.steps = {{State::kEnd, "end"}};
  (void)open_ended("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(open_ended.session.finished());
  CHECK(open_ended.session.lingering());

  Fixture<Keeper> asked;
  asked.limits.max_requests = 1;
  (void)asked("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(asked.session.finished());
  CHECK_FALSE(asked.session.lingering());

  Fixture<Keeper> with_body;
  (void)with_body("POST / HTTP/1.0\r\nContent-Length: 1\r\n\r\nx");
  CHECK(with_body.session.finished());
  CHECK(with_body.session.lingering());
}

TEST_CASE("several parts are one body") {
  class Parts final : public Handler {
   public:
    [[nodiscard]] Answer handle(const Request& /*request*/) override {
      std::vector<BodyPart> parts;
      parts.emplace_back(std::string("one "));
      parts.emplace_back(std::string(20'000, 'x'));
      parts.emplace_back(std::string(" two"));
      return Response{.body = std::move(parts)};
    }
  };
  Fixture<Parts> fixture;
  CHECK(answers_in(fixture(kGet)).at(0).body == "one " + std::string(20'000, 'x') + " two");
}

TEST_CASE("borrowed fields and bodies are sent, small ones and large ones") {
  class Borrower final : public Handler {
   public:
    [[nodiscard]] Answer handle(const Request& request) override {
      return Response{.headers = ResponseHeaders::borrowed("X-A: 1\r\n"),
                      .body = std::string_view(request.path == "/" ? small : large)};
    }
    std::string small = "small";
    std::string large = std::string(100'000, 'l');
  };
  Fixture<Borrower> fixture;
  const auto answers = answers_in(fixture(std::string(kGet) + std::string(kGetPlain) + std::string(kGet)));
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].field("X-A") == "1");
  CHECK(answers[0].body == "small");
  CHECK(answers[1].body == fixture.handler.large);
  CHECK(answers[2].body == "small");
}

TEST_CASE("shared bytes live until they are sent, and leave together with their head") {
  class Sharer final : public Handler {
   public:
    [[nodiscard]] Answer handle(const Request& request) override {
      auto text = std::make_shared<const std::string>(request.path == "/" ? 100'000 : 100, 's');
      last = text;
      return Response{.body = SharedText{.owner = text, .text = *text}};
    }
    std::weak_ptr<const std::string> last;
  };
  Fixture<Sharer> fixture;
  fixture.session.receive(bytes_of(kGet));
  net::Output& output = fixture.session.output();
  CHECK_FALSE(fixture.handler.last.expired());
  std::array<std::string_view, 3> pieces;
  REQUIRE(output.memory_pieces(pieces) == 2);
  CHECK(pieces[1].size() == 100'000);
  std::string said(output.memory());
  said += pieces[1].substr(0, 99'999);
  output.consume(said.size());
  CHECK(output.memory() == "s");
  said += output.memory();
  output.consume(1);
  CHECK(fixture.handler.last.expired());
  CHECK(answers_in(said).at(0).body == std::string(100'000, 's'));
  CHECK(answers_in(fixture(kGetPlain)).at(0).body == std::string(100, 's'));
  CHECK(answers_in(fixture(std::string(kGet) + std::string(kGet))).size() == 2);
}

TEST_CASE("an observer is told where each answer begins and ends, and what was asked") {
  class Recorder final : public Observer {
   public:
    void request_begins() override { told.emplace_back("begin"); }
    void answer_begins(const Request& request, const Response& response, std::uint64_t begin,
                       std::uint64_t body_begin) override {
      told.push_back(std::string(request.method) + ' ' + std::string(request.target) + ' ' +
                     std::to_string(response.status) + ' ' + std::to_string(begin));
      CHECK(body_begin > begin);
    }
    void answer_ends(std::uint64_t end) override { told.push_back("end " + std::to_string(end)); }
    std::vector<std::string> told;
  };
  Keeper handler;
  const Limits limits;
  Recorder recorder;
  Session session({.handler = &handler, .limits = &limits, .observer = &recorder, .clock = clock_at_rest});
  const std::string first = converse(session, kGet);
  const std::string second = converse(session, std::string(kGet) + "BROKEN\r\n\r\n");
  const std::string end = std::to_string(first.size());
  const std::string all = std::to_string(first.size() + second.size());
  REQUIRE(recorder.told.size() == 8);
  CHECK(recorder.told[0] == "begin");
  CHECK(recorder.told[1] == "GET / 200 0");
  CHECK(recorder.told[2] == "end " + end);
  CHECK(recorder.told[3] == "begin");
  CHECK(recorder.told[4] == "GET / 200 " + end);
  CHECK(recorder.told[6].starts_with("  400 "));  // no request began
  CHECK(recorder.told[7] == "end " + all);
}

TEST_CASE("fields with an underscore are dropped, or refused") {
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\nX_A: 1\r\nX-B: 2\r\n\r\n";
  Fixture<Echo> drops;
  const auto answer = answers_in(drops(request)).at(0);
  CHECK(answer.status == 200);
  CHECK(answer.field("X-B") == "2");
  CHECK_FALSE(answer.head.contains("X_A"));
  Fixture<Echo> refuses;
  refuses.limits.underscore_names = UnderscoreNames::kRefuse;
  CHECK(answers_in(refuses(request)).at(0).status == 400);
}

TEST_CASE("a request line and a field that are too long have their own status, whatever the pieces") {
  const auto status_of = [](const std::string& request, std::size_t piece) {
    Fixture<Echo> fixture;
    fixture.limits.max_request_line = {100};
    fixture.limits.max_header_line = {200};
    fixture.limits.max_header = {500};
    std::string said;
    for (std::size_t at = 0; at < request.size() && !fixture.session.finished(); at += piece)
      said += fixture(request.substr(at, piece));
    return answers_in(said).at(0).status;
  };
  const std::string fits =
      "GET /" + std::string(80, 'x') + " HTTP/1.1\r\nHost: h\r\nX-A: " + std::string(190, 'y') + "\r\n\r\n";
  const std::string line = "GET /" + std::string(120, 'x') + " HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::string field = "GET / HTTP/1.1\r\nHost: h\r\nX-A: " + std::string(201, 'y') + "\r\n\r\n";
  const std::string head = fits.substr(0, fits.size() - 2) + fits.substr(fits.find("X-A")).substr(0, 197) + "\r\n\r\n";
  for (std::size_t piece = 1; piece < 400; piece += 13) {
    CHECK(status_of(fits, piece) == 200);
    CHECK(status_of(line, piece) == 414);
    CHECK(status_of(field, piece) == 431);
    CHECK(status_of(head + std::string(100, 'z'), piece) != 200);
  }
}

}  // namespace prong::http
