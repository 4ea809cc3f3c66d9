// What a worker makes of the daemon's answers, and of those that come late, in pieces, or not at all.
#include <catch2/catch.hpp>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <utility>

#include "ipc/control.hpp"
#include "ipc/control_link.hpp"
#include "os/socket.hpp"

// Fields that are not named have their defaults, which is meant.
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

namespace prong::ipc {
namespace {

using namespace std::chrono_literals;

// Short where nothing is to come, long where something is.
constexpr Duration kShort{5};
constexpr Duration kLong{20'000};
const ControlRequest question{.verb = ControlVerb::kVersion};

struct Ends {
  Ends() : Ends(os::make_socket_pair(SOCK_STREAM).value()) {}
  explicit Ends(std::pair<os::UniqueFd, os::UniqueFd> pair)
      : master(std::move(pair.first)), link(std::move(pair.second)) {}

  void say(const std::string& text) const {
    REQUIRE(::write(master.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  // All that was asked since the last call.
  [[nodiscard]] std::string asked() const {
    std::string text(4096, '\0');
    const ssize_t got = ::read(master.get(), text.data(), text.size());
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
    return text;
  }

  os::UniqueFd master;
  ControlLink link;
};

WorkerTotals totals() {
  WorkerTotals totals;
  totals.counts = {.connections = 1,
                   .open_connections = 2,
                   .begun = 10,
                   .requests = 7,
                   .cut = 3,
                   .refused = 4,
                   .received_bytes = 5,
                   .sent_bytes = std::numeric_limits<std::uint64_t>::max(),
                   .classes = {1, 2, 3, 4, 5},
                   .statuses = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}};
  HistogramCells cells{};
  for (std::size_t bucket = 0; bucket < kBuckets; ++bucket)
    for (std::size_t i = 0; i <= bucket % 3; ++i) cells.add(std::chrono::microseconds(bucket_begin(bucket)));
  totals.service_time = Histogram::of(cells);
  totals.queue_delay.add(7, 12);
  totals.queue_delay.add_sum(84us);
  return totals;
}

DaemonReport report() {
  const DeathReport death{
      .worker = "shop/worker[0] gen=1 pid=77", .text = "killed \"\n\\", .expected = true, .ago = 3s};
  const ProcessReport process{.resident_bytes = 4096, .cpu_time = 1'230ms};
  const ThreadReport thread{.phase = ThreadPhase::kBody,
                            .lasts = 1'500ms,
                            .deadline = -2s,
                            .method = "GET",
                            .target = "/a",
                            .peer = "192.0.2.1:4711"};
  return {.version = "0.1.0",
          .pid = 412,
          .state = "reloading",
          .generation = 3,
          .uptime = 86'400'123ms,
          .time = std::chrono::milliseconds{1'800'000'000'123},
          .started = std::chrono::milliseconds{1'799'000'000'456},
          .reloads_done = 2,
          .reloads_failed = 1,
          .last_reload_failure = "why",
          .process = process,
          .pools = {{.name = "shop",
                     .app = "wsgi",
                     .listeners = {"127.0.0.1:80", "unix:/x"},
                     .wanted = 4,
                     .ready = 3,
                     .starting = 2,
                     .busy = 1,
                     .leaving = 5,
                     .paused = true,
                     .queued = 6,
                     .served = totals(),
                     .lost = 8,
                     .deaths = 9,
                     .deaths_by_cause = {{"SIGSEGV", 9}, {"reload", 4}},
                     .process = process,
                     .last_death = death},
                    {.name = "quiet"}},
          .workers = {{{.pool = "shop",
                        .slot = 1,
                        .generation = 3,
                        .pid = 78,
                        .state = "serving",
                        .age = 5s,
                        .served = totals(),
                        .process = process,
                        .threads = {std::nullopt, thread, ThreadReport{}},
                        .note = "note"}}},
          .events = {{.kind = EventReport::Kind::kReload, .subject = "generation 3", .text = "t", .expected = true},
                     {.kind = EventReport::Kind::kDeath, .subject = "s", .text = "t", .ago = 17ms}}};
}

}  // namespace

TEST_CASE("a report is parsed back to what it was") {
  const std::string line = to_line(report());
  const auto parsed = parse_daemon_report(line);
  REQUIRE(parsed.has_value());
  CHECK(to_line(*parsed) == line);
  CHECK(parsed->pools.at(0).served.counts.begun == 10);
  CHECK(parsed->pools.at(0).served.service_time.count() == totals().service_time.count());
  CHECK(parsed->pools.at(0).served.service_time.sum() == totals().service_time.sum());
  REQUIRE(parsed->workers.has_value());
  CHECK(parsed->workers->at(0).threads.size() == 3);
  CHECK(parsed->workers->at(0).threads.at(1)->deadline == -2s);
  CHECK(to_json_text(*parsed) + "}\n" == line.substr(line.find("\"result\":") + 9));
}

TEST_CASE("a report without workers has none when it is parsed back") {
  DaemonReport daemon = report();
  daemon.workers.reset();
  daemon.events.clear();
  const auto parsed = parse_daemon_report(to_line(daemon));
  REQUIRE(parsed.has_value());
  CHECK_FALSE(parsed->workers.has_value());
  CHECK(to_line(*parsed) == to_line(daemon));
}

TEST_CASE("a refusal is an error in the daemon's words, and what is no answer is one too") {
  const auto refused = parse_daemon_report(to_line(ControlFailure{.error = {.message = "no", .hint = "ask later"}}));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().text() == "no; ask later");
  for (const char* line : {"", "{", "[]", "null", R"({"version":1,"ok":true})", R"({"ok":true,"result":{}})",
                           R"({"ok":true,"result":{"version":1}})", R"({"ok":false,"error":1})"}) {
    CAPTURE(line);
    CHECK_FALSE(parse_daemon_report(line).has_value());
    CHECK_FALSE(parse_version_answer(line).has_value());
  }
  const auto version = parse_version_answer(to_line(VersionAnswer{.version = "1.2", .pid = 7}));
  REQUIRE(version.has_value());
  CHECK(version->version == "1.2");
  CHECK(version->pid == 7);
}

TEST_CASE("an answer that comes in pieces is one answer") {
  Ends ends;
  std::thread master{[&] {
    (void)os::wait_readable(ends.master.get(), kLong);
    for (const char* piece : {"{\"a\"", ":1", "}\n"}) ends.say(piece);
  }};
  const auto answer = ends.link.ask(question, kLong);
  master.join();
  REQUIRE(answer.has_value());
  CHECK(*answer == "{\"a\":1}\n");
  CHECK(ends.asked() == to_line(question));
}

TEST_CASE("an answer that comes too late is not taken for that of the next question") {
  Ends ends;
  const auto missed = ends.link.ask(question, kShort);
  REQUIRE_FALSE(missed.has_value());
  CHECK(missed.error().text() == "the master did not answer within 5ms");
  CHECK(ends.asked() == to_line(question));
  // Nobody waits for it a second time, and the master is not asked again.
  const auto owed = ends.link.ask(question, kLong);
  REQUIRE_FALSE(owed.has_value());
  CHECK(owed.error().text() == "the master has not answered the question before");
  CHECK(ends.asked().empty());
  // A part of it is not enough.
  ends.say("late");
  CHECK_FALSE(ends.link.ask(question, kLong).has_value());
  ends.say(" one\n");
  std::thread master{[&] {
    (void)os::wait_readable(ends.master.get(), kLong);
    ends.say("the right one\n");
  }};
  const auto answer = ends.link.ask(question, kLong);
  master.join();
  REQUIRE(answer.has_value());
  CHECK(*answer == "the right one\n");
}

TEST_CASE("the end of the connection is told, and told again") {
  Ends ends;
  ends.master.reset();
  for (int i = 0; i < 2; ++i) {
    const auto answer = ends.link.ask(question, kLong);
    REQUIRE_FALSE(answer.has_value());
  }
  CHECK(ends.link.ask(question, kLong).error().text() == "the master has ended the connection");
}

TEST_CASE("verbs that only look change nothing and show no configuration") {
  for (const auto& [verb, text] : kControlVerbText.entries) {
    CAPTURE(text);
    CHECK(only_looks(verb) == (text == "version" || text == "status" || text == "workers"));
  }
}

}  // namespace prong::ipc
