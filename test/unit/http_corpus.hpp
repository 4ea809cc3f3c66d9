// The raw requests of test/corpus/http and what must become of them; the format is told in the README.md there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/limits.hpp"

namespace prong::test {

enum class CorpusEnd : std::uint8_t { kOpen, kClose, kWaiting };
// For which kind of application an entry is.
enum class CorpusApp : std::uint8_t { kAny, kKeep, kDrop };

struct CorpusAnswer {
  int status = 0;
  std::string method = {};  // as the application sees it; of a refusal only "HEAD" or nothing
  bool refused = false;     // no application sees it
  bool continues = false;   // 100 (Continue) comes before it, if the body comes later than the head
  // Nothing: not compared.
  std::optional<std::string> target = {};
  std::optional<std::string> host = {};
  std::optional<std::string> path = {};
  std::optional<std::string> query = {};
  std::optional<std::string> version = {};
  std::optional<std::string> body = {};
  std::optional<std::string> connection = {};           // the answer's field
  std::optional<std::vector<std::string>> fields = {};  // "Name: value", all of them
};

struct CorpusEntry {
  std::string name = {};
  std::string source = {};
  std::string wrong = {};  // what happens instead; empty: nothing does
  http::Limits limits = {};
  CorpusApp app = CorpusApp::kAny;
  std::string bytes = {};
  std::vector<CorpusAnswer> answers = {};
  CorpusEnd end = CorpusEnd::kOpen;
};

// All entries of all files. Throws std::runtime_error with the file and the line when one cannot be read.
[[nodiscard]] std::vector<CorpusEntry> read_corpus();

}  // namespace prong::test
