// The corpus of raw requests against a session in memory: whole, byte by byte, and split in two at every position, each
// with an application that wants the body and with one that does not. test/system/test_wire.py does the same over TCP.
#include "http_corpus.hpp"

#include <catch2/catch.hpp>

#include <cstddef>
#include <exception>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "http/session.hpp"
#include "http_driver.hpp"

using namespace prong;
using namespace prong::test;

namespace {

constexpr std::string_view kProbe = "GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// What an application has seen of one request.
struct Seen {
  std::string method;
  std::string target;
  std::string host;
  std::string path;
  std::string query;
  std::string version;
  std::vector<std::string> fields;
  std::string body;

  bool operator==(const Seen&) const = default;
};

class Recorder final : public http::Handler {
 public:
  explicit Recorder(http::BodyUse use) : use_(use) {}

  [[nodiscard]] http::BodyUse body_use(const http::Request& /*request*/) override { return use_; }
  [[nodiscard]] http::Answer handle(const http::Request& request) override {
    Seen one{.method = std::string(request.method),
             .target = std::string(request.target),
             .host = std::string(request.host),
             .path = std::string(request.path),
             .query = std::string(request.query),
             .version = request.version_minor == 0 ? "1.0" : "1.1",
             .fields = {},
             .body = request.body != nullptr ? std::string(request.body->text()) : ""};
    for (std::size_t i = 0; i < request.headers.size(); ++i) {
      const http::Header header = request.headers[i];
      one.fields.push_back(std::string(header.name) + (header.value.empty() ? ":" : ": ") + std::string(header.value));
    }
    seen.push_back(std::move(one));
    return http::Response{.body = std::string("seen\n")};
  }

  std::vector<Seen> seen;

 private:
  http::BodyUse use_;
};

// All that became of an entry's bytes, but for the 100s, which depend on how the bytes are split.
struct Outcome {
  std::string said = {};
  std::size_t continues = 0;
  std::vector<Seen> seen = {};
  bool finished = false;
  bool lingering = false;
  std::string said_to_probe = {};
};

std::string without_continues(std::string said, std::size_t& count) {
  for (std::size_t at = said.find(kContinue); at != std::string::npos; at = said.find(kContinue)) {
    said.erase(at, kContinue.size());
    ++count;
  }
  return said;
}

Outcome run(const CorpusEntry& entry, http::BodyUse use, std::size_t first, std::size_t others) {
  Recorder recorder(use);
  http::Session session({.handler = &recorder, .limits = &entry.limits, .clock = clock_at_rest});
  const std::string_view bytes = entry.bytes;
  Outcome outcome;
  std::string said = converse(session, bytes.substr(0, first));
  for (std::size_t at = first; at < bytes.size(); at += others) said += converse(session, bytes.substr(at, others));
  outcome.said = without_continues(std::move(said), outcome.continues);
  outcome.finished = session.finished();
  outcome.lingering = session.lingering();
  if (entry.end == CorpusEnd::kWaiting) {
    session.receive_end();
    outcome.said_to_probe = drain(session);
  } else {
    outcome.said_to_probe = converse(session, kProbe);
  }
  outcome.seen = std::move(recorder.seen);
  return outcome;
}

// The first thing that is not as expected, or nothing.
class Judge {
 public:
  Judge(const CorpusEntry& entry, http::BodyUse use, const Outcome& outcome)
      : entry_(&entry), use_(use), outcome_(&outcome) {}

  [[nodiscard]] std::string complaint() {
    try {
      check_answers();
      check_end();
    } catch (const std::exception& error) {
      expect(std::string("answers that can be read (") + error.what() + ")", false);
    }
    return complaint_;
  }

 private:
  void expect(const std::string& what, bool holds) {
    if (!holds && complaint_.empty()) complaint_ = "expected " + what;
  }
  void expect_text(const std::string& what, const std::optional<std::string>& wanted, const std::string& found) {
    if (wanted) expect(what + " \"" + *wanted + "\", not \"" + found + '"', *wanted == found);
  }

  void check_answers() {
    std::vector<std::string> methods;
    methods.reserve(entry_->answers.size());
    for (const CorpusAnswer& answer : entry_->answers) methods.push_back(answer.method);
    const std::vector<Answer> answers = answers_in(outcome_->said, methods);
    std::size_t seen = 0;
    for (std::size_t i = 0; i < entry_->answers.size() && i < answers.size(); ++i) {
      const CorpusAnswer& wanted = entry_->answers[i];
      expect("status " + std::to_string(wanted.status) + ", not " + std::to_string(answers[i].status),
             wanted.status == answers[i].status);
      expect_text("the answer's Connection", wanted.refused ? "close" : wanted.connection,
                  answers[i].field("Connection"));
      if (wanted.refused) continue;
      expect("that the application sees it", seen < outcome_->seen.size());
      if (seen < outcome_->seen.size()) check_seen(wanted, outcome_->seen[seen]);
      ++seen;
    }
    expect(std::to_string(entry_->answers.size()) + " answers, not " + std::to_string(answers.size()),
           answers.size() == entry_->answers.size());
    expect("that the application sees no more", seen + (is_open() ? 1 : 0) == outcome_->seen.size());
  }
  void check_seen(const CorpusAnswer& wanted, const Seen& seen) {
    expect_text("method", wanted.method, seen.method);
    expect_text("target", wanted.target, seen.target);
    expect_text("host", wanted.host, seen.host);
    expect_text("path", wanted.path, seen.path);
    expect_text("query", wanted.query, seen.query);
    expect_text("version", wanted.version, seen.version);
    if (use_ == http::BodyUse::kKeep) expect_text("body", wanted.body, seen.body);
    if (wanted.fields) expect("other fields", *wanted.fields == seen.fields);
  }
  void check_end() {
    const bool closes = entry_->end == CorpusEnd::kClose;
    expect(closes ? "the end of the connection" : "an open connection", outcome_->finished == closes);
    if (!entry_->answers.empty() && entry_->answers.back().refused)
      expect("a lingering close after a refusal", outcome_->lingering);
    if (is_open())
      expect("an answer to the next request",
             answers_in(outcome_->said_to_probe).size() == 1 && outcome_->seen.back().target == "/probe");
    else
      expect("silence", outcome_->said_to_probe.empty());
  }
  [[nodiscard]] bool is_open() const { return entry_->end == CorpusEnd::kOpen; }

  const CorpusEntry* entry_;
  http::BodyUse use_;
  const Outcome* outcome_;
  std::string complaint_;
};

const std::vector<CorpusEntry>& corpus() {
  static const std::vector<CorpusEntry> entries = read_corpus();
  return entries;
}

std::vector<http::BodyUse> uses(const CorpusEntry& entry) {
  switch (entry.app) {
    case CorpusApp::kAny:
      return {http::BodyUse::kKeep, http::BodyUse::kDrop};
    case CorpusApp::kKeep:
      return {http::BodyUse::kKeep};
    case CorpusApp::kDrop:
      return {http::BodyUse::kDrop};
  }
  return {};
}

std::size_t wanted_continues(const CorpusEntry& entry) {
  std::size_t count = 0;
  for (const CorpusAnswer& answer : entry.answers) count += answer.continues ? 1 : 0;
  return count;
}

const char* name_of(http::BodyUse use) {
  return use == http::BodyUse::kKeep ? "the application keeps bodies" : "the application drops bodies";
}

}  // namespace

TEST_CASE("the corpus has enough entries, each with a name of its own") {
  std::set<std::string> names;
  for (const CorpusEntry& entry : corpus()) {
    INFO(entry.name);
    CHECK(names.insert(entry.name).second);
  }
  CHECK(names.size() >= 250);
}

TEST_CASE("every request of the corpus has its outcome when it comes whole") {
  for (const CorpusEntry& entry : corpus()) {
    for (const http::BodyUse use : uses(entry)) {
      INFO(entry.name << "; " << name_of(use));
      const Outcome outcome = run(entry, use, entry.bytes.size(), 1);
      const std::string complaint = Judge(entry, use, outcome).complaint();
      INFO("complaint: " << complaint << "; by its mark it is wrong: " << entry.wrong);
      CHECK(complaint.empty() == entry.wrong.empty());
      CHECK(outcome.continues <= wanted_continues(entry));
    }
  }
}

TEST_CASE("every request of the corpus has its outcome when it comes byte by byte") {
  for (const CorpusEntry& entry : corpus()) {
    for (const http::BodyUse use : uses(entry)) {
      INFO(entry.name << "; " << name_of(use));
      const Outcome outcome = run(entry, use, 0, 1);
      const std::string complaint = Judge(entry, use, outcome).complaint();
      INFO("complaint: " << complaint << "; by its mark it is wrong: " << entry.wrong);
      CHECK(complaint.empty() == entry.wrong.empty());
      CHECK(outcome.continues == wanted_continues(entry));
    }
  }
}

TEST_CASE("where a request of the corpus is split changes nothing") {
  for (const CorpusEntry& entry : corpus()) {
    for (const http::BodyUse use : uses(entry)) {
      const Outcome whole = run(entry, use, entry.bytes.size(), 1);
      for (std::size_t split = 1; split < entry.bytes.size(); ++split) {
        const Outcome outcome = run(entry, use, split, entry.bytes.size());
        if (outcome.said == whole.said && outcome.seen == whole.seen && outcome.finished == whole.finished &&
            outcome.said_to_probe == whole.said_to_probe && outcome.continues <= wanted_continues(entry))
          continue;
        INFO(entry.name << "; " << name_of(use) << "; split behind byte " << split);
        CHECK(outcome.said == whole.said);
        CHECK(outcome.said_to_probe == whole.said_to_probe);
        CHECK((outcome.seen == whole.seen && outcome.finished == whole.finished));
        CHECK(outcome.continues <= wanted_continues(entry));
        break;
      }
    }
  }
}
