// What the access log is told of one connection's answers.
#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>

#include "config_folder.hpp"
#include "http/handler.hpp"
#include "log/access_log.hpp"
#include "worker/answer_log.hpp"

namespace prong::worker {
namespace {

using namespace std::chrono_literals;

struct Fixture {
  config::test::Folder folder;
  std::string path = folder.path("access.log");
  log::AccessLog log{log::open_access_log(path).value(),
                     log::AccessFormat::parse("{service_us}").value(),
                     {},
                     {.path = path, .flush_delay = 0ms}};
  AnswerLog answers{log, {}};
  std::uint64_t sent = 0;

  void answer(os::TimePoint now) {
    answers.answer_begins(http::Request{.method = "GET"}, http::Response{}, sent, sent + 100);
    sent += 100;
    answers.answer_ends(sent);
    answers.note_sent(sent, now);
  }
  [[nodiscard]] std::string lines() const {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, {}};
  }
};

}  // namespace

TEST_CASE("the time of a request runs from its first byte, also when that came with the end of the one before") {
  Fixture fixture;
  const os::TimePoint start = os::now();
  fixture.answers.note_read(start);
  fixture.answers.note_request();
  fixture.answers.note_read(start + 10s);  // the end of the first request, the beginning of the second
  fixture.answer(start + 10s);
  fixture.answers.note_read(start + 13s);  // the end of the second
  fixture.answer(start + 13s);
  fixture.answers.note_read(start + 20s);  // the third one
  fixture.answers.note_request();
  fixture.answer(start + 21s);
  CHECK(fixture.lines() == "10000000\n3000000\n1000000\n");
}

}  // namespace prong::worker
