// Requests to application threads and answers back, with a session on the other side.
#include <catch2/catch.hpp>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "http/session.hpp"
#include "http_driver.hpp"
#include "worker/application_threads.hpp"
#include "worker/body_pipe.hpp"

namespace prong::worker {
namespace {

using http::Answer;
using http::Request;
using http::Response;

// Does what a function says.
class Function final : public http::Handler {
 public:
  explicit Function(std::function<Answer(const Request&)> function) : function_(std::move(function)) {}
  [[nodiscard]] http::BodyUse body_use(const Request& /*request*/) override { return http::BodyUse::kKeep; }
  [[nodiscard]] Answer handle(const Request& request) override { return function_(request); }

 private:
  std::function<Answer(const Request&)> function_;
};

// The threads, running; ended and joined at the end.
class Running {
 public:
  Running(std::size_t number, const std::function<Answer(const Request&)>& function,
          const BodyPipe::Room& room = {.memory = 1'000}) {
    std::vector<std::unique_ptr<http::Handler>> handlers;
    handlers.reserve(number);
    for (std::size_t i = 0; i < number; ++i) handlers.push_back(std::make_unique<Function>(function));
    auto created = ApplicationThreads::create(std::move(handlers), room);
    REQUIRE(created.has_value());
    threads_ = std::move(*created);
    running_.reserve(number);
    for (std::size_t i = 0; i < number; ++i) running_.emplace_back([this, i] { threads_->run(i); });
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    threads_->submit();
    threads_->finish();
    for (std::thread& thread : running_) thread.join();
  }
  ApplicationThreads* operator->() { return threads_.get(); }
  http::Handler& handler() { return *threads_; }

  // Waits for news and takes it.
  std::vector<ApplicationThreads::News> wait() {
    threads_->submit();
    constexpr int kLimitMs = 20'000;
    pollfd ready{.fd = threads_->fd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&ready, 1, kLimitMs) == 1);
    return threads_->take_news();
  }

 private:
  std::unique_ptr<ApplicationThreads> threads_;
  std::vector<std::thread> running_;
};

// A session whose handler is the threads.
struct Client {
  explicit Client(Running& running) : threads(&running) {}
  Running* threads;
  http::Limits limits = {.output_buffer = {1'000}};
  http::Session session =
      http::Session({.handler = &threads->handler(), .limits = &limits, .clock = test::clock_at_rest, .connection = 7});
  std::vector<std::string> failures = {};

  // Everything that it says until the answer is whole.
  std::string ask(std::string_view request) {
    std::string said = test::converse(session, request);
    while (session.phase() == http::Phase::kHandling) {
      for (ApplicationThreads::News& news : threads->wait()) {
        if (!news.failure.empty()) failures.push_back(news.failure);
        if (news.connection != 7) continue;
        if (news.answer) session.answer(std::move(*news.answer));
        said += test::drain(session);
      }
    }
    return said;
  }
};

constexpr std::string_view kPost = "POST /a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody";
constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

// A body of that many bytes in many portions; then it ends, fails, or throws (kWait).
class Portions final : public http::BodySource {
 public:
  Portions(std::size_t bytes, State last) : left_(bytes), last_(last) {}
  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    const std::size_t portion = std::min({most, left_, std::size_t{300}});
    into.append(portion, 'p');
    left_ -= portion;
    if (left_ > 0) return State::kMore;
    if (last_ == State::kWait) throw std::runtime_error("thrown while streaming");
    return last_;
  }

 private:
  std::size_t left_;
  State last_;
};

}  // namespace

TEST_CASE("a request reaches a thread with all its parts, and its answer comes back") {
  const auto io_thread = std::this_thread::get_id();
  Running threads(1, [&](const Request& request) -> Answer {
    CHECK(std::this_thread::get_id() != io_thread);
    std::string text;
    for (const std::string_view part : {request.method, request.target, request.host, request.path, request.query,
                                        request.headers.find("x-a").value_or("?"), request.body->text()})
      text.append(part) += '|';
    Response response{.body = text};
    response.headers.add("X-B", "c");
    return response;
  });
  Client client(threads);
  for (int i = 0; i < 3; ++i) {
    const auto answer = test::answers_in(client.ask(kPost)).at(0);
    CHECK(answer.body == "POST|/a%20b?c=d|h|/a%20b|c=d|b|body|");
    CHECK(answer.field("X-B") == "c");
  }
  CHECK(client.session.phase() == http::Phase::kIdle);
}

TEST_CASE("what a handler lends for its call is copied") {
  std::string lent = "X-Lent: 1\r\n";
  Running threads(1, [&](const Request&) -> Answer {
    return Response{.headers = http::ResponseHeaders::borrowed(lent), .body = std::string_view(lent)};
  });
  (void)threads->handle({.connection = 1});
  auto news = threads.wait();
  lent.assign(lent.size(), '?');
  REQUIRE(news.at(0).answer.has_value());
  CHECK(news[0].answer->headers.text() == "X-Lent: 1\r\n");
  CHECK(std::get<std::string>(news[0].answer->body) == "X-Lent: 1\r\n");
}

TEST_CASE("as many requests run at once as there are threads, and more wait") {
  constexpr int kThreads = 3;
  std::latch all_run(kThreads);
  std::latch may_end(1);
  std::atomic<int> begun = 0;
  {
    Running threads(kThreads, [&](const Request&) -> Answer {
      if (++begun <= kThreads) {
        all_run.count_down();
        may_end.wait();
      }
      return Response{};
    });
    for (int i = 0; i < kThreads; ++i) {
      CHECK(threads->has_free_thread());
      (void)threads->handle({.connection = 1});
    }
    threads->submit();
    all_run.wait();
    CHECK_FALSE(threads->has_free_thread());
    (void)threads->handle({.connection = 1});
    threads->submit();
    CHECK(threads->busy() == kThreads + 1);
    CHECK(begun == kThreads);
    may_end.count_down();
    std::size_t answers = 0;
    while (answers < kThreads + 1)
      for (const auto& news : threads.wait()) answers += news.answer ? 1 : 0;
    CHECK(begun == kThreads + 1);
  }
}

TEST_CASE("an exception is 500 for the client and a text for the log") {
  Running threads(1, [](const Request&) -> Answer { throw std::runtime_error("thrown"); });
  Client client(threads);
  CHECK(test::answers_in(client.ask(kGet)).at(0).status == 500);
  CHECK(client.failures == std::vector<std::string>{"thrown, in GET /"});
}

TEST_CASE("a handler that would answer later is told that it cannot") {
  Running threads(1, [](const Request&) -> Answer { return http::Later{}; });
  Client client(threads);
  CHECK(test::answers_in(client.ask(kGet)).at(0).status == 500);
  CHECK(client.failures.size() == 1);
}

TEST_CASE("a body is made on the thread while it is sent") {
  Running threads(2, [](const Request&) -> Answer {
    return Response{.body = std::make_unique<Portions>(30'000, http::BodySource::State::kEnd)};
  });
  Client client(threads);
  for (int i = 0; i < 3; ++i) CHECK(test::answers_in(client.ask(kGet)).at(0).body == std::string(30'000, 'p'));
  CHECK_FALSE(client.session.broken());
}

TEST_CASE("a body that fails or throws while it is made breaks the connection off") {
  Running threads(1, [](const Request& request) -> Answer {
    return Response{.body = std::make_unique<Portions>(
                        900, request.path == "/" ? http::BodySource::State::kFailed : http::BodySource::State::kWait)};
  });
  Client fails(threads);
  (void)fails.ask(kGet);
  CHECK(fails.session.broken());
  Client throws(threads);
  (void)throws.ask("GET /throws HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(throws.session.broken());
}

TEST_CASE("an answer that begins early is sent while its handler goes on") {
  std::latch first_was_seen(1);
  Running threads(1, [&](const Request& request) -> Answer {
    request.early->begin(Response{.status = 202}, std::nullopt);
    CHECK(request.early->has_begun);
    CHECK(request.early->write("first "));
    first_was_seen.wait();
    CHECK(request.early->write("second"));
    return Response{.status = 500, .body = std::string("not looked at")};
  });
  Client client(threads);
  std::string said = test::converse(client.session, kGet);
  bool is_last = false;
  while (!is_last) {
    for (ApplicationThreads::News& news : threads.wait()) {
      if (news.answer) client.session.answer(std::move(*news.answer));
      is_last = is_last || news.is_last;
    }
    said += test::drain(client.session);
    if (said.contains("first ") && !said.contains("second") && !first_was_seen.try_wait()) {
      CHECK_FALSE(threads->has_free_thread());
      first_was_seen.count_down();
    }
  }
  said += test::drain(client.session);
  CHECK(test::answers_in(said).at(0).status == 202);
  CHECK(test::answers_in(said).at(0).body == "first second");
  CHECK(client.session.phase() == http::Phase::kIdle);
}

TEST_CASE("an early answer whose size is said is whole with it, and cut when it stays shorter") {
  Running threads(1, [](const Request& request) -> Answer {
    request.early->begin(Response{}, 5);
    if (request.path != "/short") CHECK(request.early->write("exact and more"));
    return Response{};
  });
  Client whole(threads);
  CHECK(test::answers_in(whole.ask(kGet)).at(0).body == "exact");
  Client is_short(threads);
  (void)is_short.ask("GET /short HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(is_short.session.broken());
}

TEST_CASE("a handler that throws after its answer has begun breaks the connection off and tells why") {
  Running threads(1, [](const Request& request) -> Answer {
    request.early->begin(Response{}, std::nullopt);
    CHECK(request.early->write("begun"));
    throw std::runtime_error("thrown later");
  });
  Client client(threads);
  (void)client.ask(kGet);
  CHECK(client.session.broken());
  while (client.failures.empty())
    for (const ApplicationThreads::News& news : threads.wait())
      if (!news.failure.empty()) client.failures.push_back(news.failure);
  CHECK(client.failures == std::vector<std::string>{"thrown later, in GET /"});
}

TEST_CASE("a handler learns that nobody wants its early answer any more, and waits for nobody") {
  std::atomic<bool> was_told = false;
  Running threads(1, [&](const Request& request) -> Answer {
    request.early->begin(Response{}, std::nullopt);
    while (request.early->write(std::string(700, 'x'))) {
    }
    was_told = true;
    return Response{};
  });
  {
    Client gone(threads);
    gone.session.receive(test::bytes_of(kGet));
    for (ApplicationThreads::News& news : threads.wait())
      if (news.answer) gone.session.answer(std::move(*news.answer));
  }
  bool is_last = false;
  while (!is_last)
    for (const ApplicationThreads::News& news : threads.wait()) is_last = is_last || news.is_last;
  CHECK(was_told);
}

TEST_CASE("a thread that makes a body for a client who is gone is free again") {
  Running threads(1, [](const Request& request) -> Answer {
    if (request.path == "/")
      return Response{.body = std::make_unique<Portions>(1'000'000'000, http::BodySource::State::kEnd)};
    return Response{.body = std::string("next")};
  });
  {
    Client gone(threads);
    gone.session.receive(test::bytes_of(kGet));
    for (ApplicationThreads::News& news : threads.wait())
      if (news.answer) gone.session.answer(std::move(*news.answer));
    CHECK_FALSE(threads->has_free_thread());
  }
  Client next(threads);
  CHECK(test::answers_in(next.ask("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")).at(0).body == "next");
}

TEST_CASE("a slow client of a streamed answer costs no thread while the spool takes it") {
  constexpr std::size_t kSize = 100'000;
  Running threads(1,
                  [&](const Request& request) -> Answer {
                    if (request.path == "/")
                      return Response{.body = std::make_unique<Portions>(kSize, http::BodySource::State::kEnd)};
                    return Response{.body = std::string("next")};
                  },
                  {.memory = 1'000, .spool = kSize, .directory = "/tmp"});
  CHECK(threads->descriptor_needs().held == 1);
  Client slow(threads);
  slow.session.receive(test::bytes_of(kGet));
  bool is_free = false;
  while (!is_free) {
    for (ApplicationThreads::News& news : threads.wait()) {
      if (news.answer) slow.session.answer(std::move(*news.answer));
      is_free = is_free || news.is_last;
    }
  }
  Client next(threads);
  CHECK(test::answers_in(next.ask("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")).at(0).body == "next");
  CHECK(test::answers_in(test::drain(slow.session)).at(0).body == std::string(kSize, 'p'));
}

TEST_CASE("why an answer is not spooled is news of its own") {
  Running threads(1,
                  [](const Request&) -> Answer {
                    return Response{.body = std::make_unique<Portions>(10'000, http::BodySource::State::kEnd)};
                  },
                  {.memory = 1'000, .spool = 10'000, .directory = "/nonexistent"});
  (void)threads->handle({.connection = 7});
  std::vector<ApplicationThreads::News> told;
  const auto has_warning = [](const ApplicationThreads::News& news) { return !news.warning.empty(); };
  while (std::ranges::none_of(told, has_warning))
    for (ApplicationThreads::News& news : threads.wait()) told.push_back(std::move(news));
  REQUIRE(told.front().answer.has_value());
  const auto& warned = *std::ranges::find_if(told, has_warning);
  CHECK(warned.connection == 7);
  CHECK(warned.warning == R"(cannot make a file in "/nonexistent": No such file or directory)");
  CHECK_FALSE(warned.is_last);
}

TEST_CASE("threads that are all asleep are all woken for as many requests") {
  constexpr int kThreads = 8;
  for (int round = 0; round < 20; ++round) {
    std::latch all_run(kThreads);
    Running threads(kThreads, [&](const Request&) -> Answer {
      all_run.arrive_and_wait();  // ends only when all of them run
      return Response{};
    });
    for (int i = 0; i < kThreads; ++i) (void)threads->handle({.connection = 1});
    std::size_t answers = 0;
    while (answers < kThreads)
      for (const auto& news : threads.wait()) answers += news.is_last ? 1 : 0;
  }
}

TEST_CASE("a request can be cancelled as long as no thread has begun with it") {
  using Cancelled = ApplicationThreads::Cancelled;
  std::latch runs(1);
  std::latch may_end(1);
  std::atomic<int> begun = 0;
  Running threads(1, [&](const Request&) -> Answer {
    if (begun++ == 0) {
      runs.count_down();
      may_end.wait();
    }
    return Response{};
  });
  (void)threads->handle({.connection = 1});
  threads->submit();
  runs.wait();
  for (const std::uint64_t connection : {2U, 3U, 4U}) (void)threads->handle({.connection = connection});
  CHECK(threads->cancel(3) == Cancelled::kWaiting);
  CHECK(threads->cancel(3) == Cancelled::kDone);
  CHECK(threads->cancel(1) == Cancelled::kRunning);
  CHECK(threads->busy() == 3);
  may_end.count_down();
  std::vector<std::uint64_t> answered;
  while (answered.size() < 3)
    for (const auto& news : threads.wait())
      if (news.is_last) answered.push_back(news.connection);
  CHECK(answered == std::vector<std::uint64_t>{1, 2, 4});
  CHECK(threads->cancel(1) == Cancelled::kDone);
}

TEST_CASE("threads answer what was handed in before they end") {
  std::atomic<int> answered = 0;
  {
    Running threads(2, [&](const Request&) -> Answer {
      ++answered;
      return Response{};
    });
    for (int i = 0; i < 100; ++i) (void)threads->handle({.connection = 1});
  }
  CHECK(answered == 100);
}

}  // namespace prong::worker
