// The line about a dead worker, for each way to die.
#include <catch2/catch.hpp>

#include <csignal>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "master/obituary.hpp"

namespace prong::master {
namespace {

using namespace std::chrono_literals;

Death death(SlotState state, os::ExitStatus status) {
  return {.state = state,
          .status = status,
          .lived = 41'300ms,
          .counts = ipc::WorkerCounts{.connections = 7, .begun = 12, .requests = 12},
          .killed_because = {},
          .start_failure = {},
          .retired_because = {},
          .program = ProgramKind::kNone,
          .client = {},
          .asked_by = 0};
}

constexpr os::ExitStatus kClean{.signalled = false, .code = 0};
constexpr os::ExitStatus kFailed{.signalled = false, .code = 1};
constexpr os::ExitStatus kSegv{.signalled = true, .code = SIGSEGV, .core_dumped = true};
constexpr os::ExitStatus kKilled{.signalled = true, .code = SIGKILL};

}  // namespace

TEST_CASE("a worker that ends after its drain is told as information") {
  const Obituary obituary = write_obituary(death(SlotState::kDraining, kClean));
  CHECK(obituary.is_expected());
  CHECK(obituary.text == "exited with status 0 after 41.3s, 7 connections, 12 requests");
}

TEST_CASE("a worker that said why it retires is told as information, with what it said") {
  Death of = death(SlotState::kDraining, kClean);
  of.retired_because = "SIGTERM from pid 5 uid 0";
  CHECK(write_obituary(of).is_expected());
  CHECK(write_obituary(of).text ==
        "exited with status 0 after 41.3s, 7 connections, 12 requests; SIGTERM from pid 5 uid 0");
  of.state = SlotState::kServing;  // the exit was seen before the message was acted upon
  CHECK(write_obituary(of).is_expected());
}

TEST_CASE("a worker that leaves without being asked is an error, also with status 0") {
  CHECK_FALSE(write_obituary(death(SlotState::kServing, kClean)).is_expected());
  CHECK_FALSE(write_obituary(death(SlotState::kStarting, kClean)).is_expected());
  CHECK_FALSE(write_obituary(death(SlotState::kKilling, kClean)).is_expected());
}

TEST_CASE("a worker that fails while it drains is an error") {
  CHECK_FALSE(write_obituary(death(SlotState::kDraining, kFailed)).is_expected());
  CHECK_FALSE(write_obituary(death(SlotState::kDraining, kSegv)).is_expected());
}

TEST_CASE("a crash tells the signal, whether a core was dumped, and what was open") {
  Death of = death(SlotState::kServing, kSegv);
  of.counts->open_connections = 3;
  const Obituary obituary = write_obituary(of);
  CHECK_FALSE(obituary.is_expected());
  CHECK(obituary.text ==
        "killed by signal 11 (SIGSEGV, core dumped) after 41.3s, 7 connections, 12 requests, 3 connections open");
}

TEST_CASE("a KILL that the master did not send points to the usual suspects") {
  const Obituary obituary = write_obituary(death(SlotState::kServing, kKilled));
  CHECK_FALSE(obituary.is_expected());
  CHECK_THAT(obituary.text, Catch::StartsWith("killed by signal 9 (SIGKILL) after 41.3s"));
  CHECK_THAT(obituary.text, Catch::Contains("the master did not send it"));
  CHECK_THAT(obituary.text, Catch::Contains("out-of-memory"));
}

TEST_CASE("a KILL that the master sent says why") {
  Death of = death(SlotState::kKilling, kKilled);
  of.killed_because = "it did not stop within its grace";
  const Obituary obituary = write_obituary(of);
  CHECK_FALSE(obituary.is_expected());
  CHECK_THAT(obituary.text, Catch::EndsWith("; killed by the master: it did not stop within its grace"));
}

TEST_CASE("a worker that could not start is told with its own reason before any other") {
  Death of = death(SlotState::kStarting, kFailed);
  of.start_failure = "cannot open directory \"/srv\": No such file or directory";
  of.killed_because = "its channel closed";
  const Obituary obituary = write_obituary(of);
  CHECK_FALSE(obituary.is_expected());
  CHECK_THAT(obituary.text, Catch::StartsWith("exited with status 1 after"));
  CHECK_THAT(obituary.text, Catch::EndsWith("; cannot open directory \"/srv\": No such file or directory"));
}

TEST_CASE("a worker that died in its start without a word is told so") {
  CHECK_THAT(write_obituary(death(SlotState::kStarting, kSegv)).text, Catch::EndsWith("; it was not ready yet"));
  CHECK_THAT(write_obituary(death(SlotState::kStarting, kFailed)).text, Catch::EndsWith("; it was not ready yet"));
}

TEST_CASE("an ordinary failure has no invented cause") {
  CHECK_THAT(write_obituary(death(SlotState::kServing, kFailed)).text, Catch::EndsWith("12 requests"));
}

TEST_CASE("a program that served a connection is told with its client, whatever its status at information") {
  Death of = death(SlotState::kTaken, kFailed);
  of.program = ProgramKind::kConnection;
  of.client = "192.0.2.7";
  CHECK(write_obituary(of).is_expected());
  CHECK(write_obituary(of).text == "program for 192.0.2.7 exited with status 1 after 41.3s");
  of.client.clear();  // a UNIX socket
  CHECK(write_obituary(of).text == "program exited with status 1 after 41.3s");
}

TEST_CASE("a program that a signal ended is an error, but not when its client had gone") {
  Death of = death(SlotState::kTaken, kSegv);
  of.program = ProgramKind::kConnection;
  CHECK_FALSE(write_obituary(of).is_expected());
  of.status = {.signalled = true, .code = SIGPIPE};
  CHECK(write_obituary(of).is_expected());
  of.program = ProgramKind::kListener;
  CHECK_FALSE(write_obituary(of).is_expected());
}

TEST_CASE("a program that could not be executed is an error that says why") {
  Death of = death(SlotState::kTaken, {.signalled = false, .code = 127});
  of.program = ProgramKind::kConnection;
  of.start_failure = "cannot execute \"/nonexistent\": No such file or directory";
  CHECK_FALSE(write_obituary(of).is_expected());
  CHECK(write_obituary(of).text ==
        "program exited with status 127 after 41.3s; cannot execute \"/nonexistent\": No such file or directory");
}

TEST_CASE("a program that ends by the signal that asked it to is told as information") {
  for (const ProgramKind kind : {ProgramKind::kConnection, ProgramKind::kListener}) {
    Death of = death(SlotState::kDraining, {.signalled = true, .code = SIGTERM});
    of.program = kind;
    CHECK_FALSE(write_obituary(of).is_expected());  // somebody else sent it
    of.asked_by = SIGTERM;
    CHECK(write_obituary(of).is_expected());
    of.asked_by = SIGINT;
    CHECK_FALSE(write_obituary(of).is_expected());
    of.status = {.signalled = false, .code = 128 + SIGINT};
    CHECK(write_obituary(of).is_expected());
  }
}

TEST_CASE("a program that accepts by itself may leave when it was asked to, with status 0") {
  Death of = death(SlotState::kDraining, kClean);
  of.program = ProgramKind::kListener;
  CHECK_FALSE(write_obituary(of).is_expected());
  of.asked_by = SIGTERM;
  CHECK(write_obituary(of).is_expected());
  of.status = kFailed;
  CHECK_FALSE(write_obituary(of).is_expected());
}

TEST_CASE("an interpreter's obituary ends with the Python code that it was running") {
  Death of = death(SlotState::kServing, kSegv);
  of.python_stack = "crash (shop/views.py:42), called by application (shop/wsgi.py:9)";
  CHECK(write_obituary(of).text.ends_with(
      "12 requests; in crash (shop/views.py:42), called by application (shop/wsgi.py:9)"));
  of.killed_because = "it did not answer";
  CHECK(write_obituary(of).text.ends_with(
      "; killed by the master: it did not answer; in crash (shop/views.py:42), called by "
      "application (shop/wsgi.py:9)"));
}

namespace {

constexpr os::TimePoint kNow{1h};

ipc::ThreadReading call(std::string target, std::chrono::nanoseconds lasted) {
  return {.phase = ipc::ThreadPhase::kRequest, .since = kNow - lasted, .method = "GET", .target = std::move(target)};
}

// A crash in the middle of so many requests.
Death crash(std::vector<std::optional<ipc::ThreadReading>> threads, std::uint64_t inside) {
  Death of = death(SlotState::kServing, kKilled);
  of.killed_because = "it was asked to";
  of.counts->begun = of.counts->requests + inside;
  of.threads = std::move(threads);
  of.now = kNow;
  return of;
}

std::string calls_in(const Death& of) {
  const std::string text = write_obituary(of).text;
  const std::string before = "41.3s, 7 connections, 12 requests";
  const std::size_t begin = text.find(before) + before.size();
  return text.substr(begin, text.find("; killed by the master") - begin);
}

}  // namespace

TEST_CASE("the request that a worker was in is told, and for how long") {
  CHECK(calls_in(crash({call("/checkout", 3'200ms)}, 1)) == "; in GET /checkout for 3.2s");
  CHECK(calls_in(crash({ipc::ThreadReading{}}, 0)).empty());
}

TEST_CASE("with several threads each busy one is told with its number, the longest first") {
  CHECK(calls_in(crash({call("/a", 1ms), std::nullopt, ipc::ThreadReading{}, call("/b", 2s)}, 2)) ==
        "; in GET /b for 2.0s (thread 4), GET /a for 1ms (thread 1)");
}

TEST_CASE("requests that no thread is at are told by their number, and so are those that are too many") {
  CHECK(calls_in(crash({call("/a", 1ms)}, 3)) == "; in GET /a for 1ms, and 2 requests more");
  CHECK(calls_in(crash({ipc::ThreadReading{}}, 3)) == "; 3 requests were not answered yet");
  CHECK(calls_in(crash({}, 3)) == "; 3 requests were not answered yet");
  const std::vector<std::optional<ipc::ThreadReading>> many(64, call(std::string(1'000, 'x'), 1s));
  const std::string text = calls_in(crash(many, 64));
  CHECK(text.ends_with("... for 1.0s (thread 4), and 60 requests more"));
  CHECK(text.size() < 1'000);
}

TEST_CASE("an event of a stream is told, and is no request") {
  const ipc::ThreadReading event{.phase = ipc::ThreadPhase::kStream, .since = kNow - 1s};
  CHECK(calls_in(crash({event}, 0)) == "; in an event of a stream for 1.0s");
}

TEST_CASE("what a worker has overwritten is not told as if it were so") {
  Death of = crash({std::nullopt}, 0);
  of.counts.reset();
  CHECK(write_obituary(of).text.find("after 41.3s, what it had counted is overwritten; killed by") !=
        std::string::npos);
}

TEST_CASE("an unexpected death has the code of its cause, an expected one has none") {
  using enum MessageCode;
  CHECK(write_obituary(death(SlotState::kDraining, kClean)).code == std::nullopt);
  CHECK(write_obituary(death(SlotState::kDraining, kClean)).text_with_code().ends_with(" requests"));
  CHECK(write_obituary(death(SlotState::kServing, kSegv)).text_with_code().ends_with(" requests [PR0301]"));
  CHECK(write_obituary(death(SlotState::kServing, kSegv)).code == kWorkerCrashed);
  CHECK(write_obituary(death(SlotState::kServing, {.signalled = true, .code = SIGTERM})).code == kWorkerEndedBySignal);
  CHECK(write_obituary(death(SlotState::kServing, kKilled)).code == kWorkerKilled);
  CHECK(write_obituary(death(SlotState::kServing, kClean)).code == kWorkerExited);
  CHECK(write_obituary(death(SlotState::kStarting, kSegv)).code == kWorkerDiedInStart);
  Death of = death(SlotState::kKilling, kKilled);
  of.killed_because = "its channel closed";
  of.killed_code = kWorkerLost;
  CHECK(write_obituary(of).code == kWorkerLost);
  of.start_failure = "no such module";
  CHECK(write_obituary(of).code == kWorkerCannotStart);
  of.program = ProgramKind::kConnection;
  CHECK(write_obituary(of).code == kProgramNotExecuted);
}

TEST_CASE("a death has its cause in one word") {
  const auto cause_of = [](const Death& of) { return write_obituary(of).cause; };
  Death of = death(SlotState::kServing, kSegv);
  CHECK(cause_of(of) == "SIGSEGV");
  of = death(SlotState::kServing, kFailed);
  CHECK(cause_of(of) == "exit_1");
  of.start_failure = "no such module";
  CHECK(cause_of(of) == "start_failed");

  const std::vector<std::pair<Departure, std::string>> departures{{Departure::kStop, "stop"},
                                                                  {Departure::kReload, "reload"},
                                                                  {Departure::kRecycle, "recycle"},
                                                                  {Departure::kScale, "scale"},
                                                                  {Departure::kTerminated, "terminated"},
                                                                  {Departure::kRequestTimeout, "request_timeout"}};
  for (const auto& [departure, word] : departures) {
    of = death(SlotState::kDraining, kClean);
    of.departure = departure;
    CHECK(cause_of(of) == word);
  }
  // It crashed while it drained: that is what counts.
  of = death(SlotState::kDraining, kSegv);
  of.departure = Departure::kReload;
  CHECK(cause_of(of) == "SIGSEGV");

  const std::vector<std::pair<MessageCode, std::string>> kills{{MessageCode::kWorkerStartTooSlow, "start_timeout"},
                                                               {MessageCode::kWorkerStopTooSlow, "graceful_timeout"},
                                                               {MessageCode::kWorkerLost, "channel"},
                                                               {MessageCode::kWorkerHung, "deadline"}};
  for (const auto& [reason, word] : kills) {
    of = death(SlotState::kKilling, kKilled);
    of.departure = Departure::kReload;
    of.killed_because = "why";
    of.killed_code = reason;
    CHECK(cause_of(of) == word);
  }
  // However a worker ends whose thread is stuck.
  of.departure = Departure::kRequestTimeout;
  CHECK(cause_of(of) == "request_timeout");

  of = death(SlotState::kTaken, kFailed);
  of.program = ProgramKind::kConnection;
  CHECK(cause_of(of) == "finished");

  of = death(SlotState::kServing, kKilled);
  CHECK(cause_of(of) == "SIGKILL");
  of.out_of_memory = true;
  CHECK(cause_of(of) == "oom");
  CHECK_THAT(write_obituary(of).text, Catch::Contains("by the kernel's out-of-memory killer"));
}

TEST_CASE("the module is named with the call that the worker was in") {
  Death of = crash({call("/a", 1ms), call("/b", 2s)}, 2);
  of.module = "/srv/m.so";
  CHECK(calls_in(of) == "; in GET /b of module /srv/m.so for 2.0s (thread 2), GET /a for 1ms (thread 1)");
  of.threads = {call("/checkout", 3'200ms)};
  CHECK(calls_in(of) == "; in GET /checkout of module /srv/m.so for 3.2s, and 1 requests more");
}

TEST_CASE("the module is named when its worker dies between two calls, and not when it leaves as it should") {
  Death of = crash({ipc::ThreadReading{}}, 0);
  of.status = kSegv;
  of.killed_because.clear();
  of.module = "/srv/m.so";
  CHECK(calls_in(of) == "; it ran module /srv/m.so");
  of = death(SlotState::kDraining, kClean);
  of.module = "/srv/m.so";
  CHECK(write_obituary(of).text == write_obituary(death(SlotState::kDraining, kClean)).text);
}

TEST_CASE("a module that ends its worker in its start is named") {
  const auto end_of = [](const Death& of) {
    const std::string text = write_obituary(of).text;
    return text.substr(text.find(" requests") + 9);
  };
  Death of = death(SlotState::kStarting, kSegv);
  of.module = "/srv/m.so";
  CHECK(end_of(of) == "; while it started, in module /srv/m.so");
  CHECK(write_obituary(of).code == MessageCode::kWorkerDiedInStart);
  for (const os::ExitStatus status : {kClean, kFailed}) {
    of.status = status;
    CHECK(end_of(of) == "; while it started, in module /srv/m.so, which called exit()");
  }
  of.start_failure = "cannot load module \"/srv/m.so\": no such symbol";
  CHECK(end_of(of) == "; cannot load module \"/srv/m.so\": no such symbol");
  of.start_failure = "no memory";
  CHECK(end_of(of) == "; no memory; in module /srv/m.so");
  of.start_failure.clear();
  of.status = kKilled;
  of.state = SlotState::kKilling;
  of.killed_code = MessageCode::kWorkerStartTooSlow;
  of.killed_because = "it was not ready within start_timeout = 1s";
  CHECK(end_of(of) == "; killed by the master: it was not ready within start_timeout = 1s; in module /srv/m.so");
}

TEST_CASE("a worker whose module called exit() is an error that says so, whatever the status") {
  for (const os::ExitStatus status : {kClean, kFailed}) {
    Death of = death(SlotState::kServing, status);
    of.module = "/srv/m.so";
    CHECK(write_obituary(of).code == MessageCode::kWorkerExited);
    CHECK_THAT(write_obituary(of).text,
               Catch::EndsWith("; module /srv/m.so, or a library that it uses, called exit()"));
    of.threads = {call("/a", 1ms)};
    of.now = kNow;
    CHECK_THAT(write_obituary(of).text, Catch::EndsWith("; in GET /a of module /srv/m.so for 1ms; the module, or a "
                                                        "library that it uses, called exit()"));
  }
}

TEST_CASE("a module whose file was written over while it was in use is told so, when that may have been the cause") {
  for (const int signal : {SIGBUS, SIGSEGV, SIGILL, SIGABRT, SIGKILL}) {
    CAPTURE(signal);
    Death of = crash({call("/a", 1ms)}, 1);
    of.status = {.signalled = true, .code = signal};
    of.module = "/srv/m.so";
    CHECK_FALSE(write_obituary(of).text.contains("overwritten in place"));
    of.module_overwritten = true;
    const bool may_be = signal != SIGABRT && signal != SIGKILL;
    CHECK(write_obituary(of).text.ends_with("; the file of the module was overwritten in place while it was mapped: "
                                            "replace it with install(1) or mv(1)") == may_be);
  }
}

TEST_CASE("a worker whose loop was stuck is told with the call that it was killed for, once") {
  Death of = crash({call("/a", 2s)}, 3);
  of.state = SlotState::kKilling;
  of.status = {.signalled = true, .code = SIGABRT};
  of.module = "/srv/m.so";
  of.departure = Departure::kRequestTimeout;
  of.killed_code = MessageCode::kWorkerHung;
  of.killed_because = "the loop was in GET /a of module /srv/m.so for 2.0s, request_timeout = 1s";
  const std::string text = write_obituary(of).text;
  CHECK(text.substr(text.find(" 12 requests")) ==
        " 12 requests; 2 requests were not answered yet; killed by the master: the loop was in GET /a of module "
        "/srv/m.so for "
        "2.0s, request_timeout = 1s");
  CHECK(write_obituary(of).code == MessageCode::kWorkerHung);
  CHECK(write_obituary(of).cause == "request_timeout");
}

}  // namespace prong::master
