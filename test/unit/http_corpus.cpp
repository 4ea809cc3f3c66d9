#include "http_corpus.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "base/units.hpp"

namespace prong::test {
namespace {

constexpr int kHexadecimal = 16;

std::string unescape(std::string_view text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes += text[i];
      continue;
    }
    if (++i == text.size()) throw std::runtime_error("a backslash at the end of a line");
    switch (text[i]) {
      case 'r':
        bytes += '\r';
        break;
      case 'n':
        bytes += '\n';
        break;
      case 't':
        bytes += '\t';
        break;
      case '0':
        bytes += '\0';
        break;
      case '\\':
        bytes += '\\';
        break;
      case 'x':
        bytes += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, kHexadecimal));
        i += 2;
        break;
      default:
        throw std::runtime_error("an unknown escape");
    }
  }
  return bytes;
}

// Takes the text up to the separator off the front; all of it if there is none.
std::string_view take_word(std::string_view& text, char separator) {
  const std::string_view word = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

// "POST /a", "to HEAD", or nothing, behind the status.
CorpusAnswer read_answer(std::string_view line) {
  CorpusAnswer answer{.status = std::stoi(std::string(take_word(line, ' ')))};
  const std::string_view method = take_word(line, ' ');
  answer.refused = method.empty() || method == "to";
  if (answer.refused)
    answer.method = line;
  else
    answer.method = method;
  if (!answer.refused && !line.empty()) answer.target = unescape(line);
  return answer;
}

void read_limit(http::Limits& limits, std::string_view limit) {
  const std::string_view key = take_word(limit, '=');
  const std::string value(limit);
  const auto size = [&value] { return parse_byte_size(value).value(); };
  if (key == "max_request_line")
    limits.max_request_line = size();
  else if (key == "max_header_line")
    limits.max_header_line = size();
  else if (key == "max_header")
    limits.max_header = size();
  else if (key == "max_headers")
    limits.max_fields = std::stoul(value);
  else if (key == "max_body")
    limits.max_body = size();
  else if (key == "underscore_headers" && value == "refuse")
    limits.underscore_names = http::UnderscoreNames::kRefuse;
  else
    throw std::runtime_error("an unknown limit");
}

void read_limits(http::Limits& limits, std::string_view line) {
  while (!line.empty()) read_limit(limits, take_word(line, ' '));
}

// "> bytes" or ">3 bytes" without its '>'.
void read_bytes(std::string& bytes, std::string_view line) {
  const std::string count(take_word(line, ' '));
  const std::string piece = unescape(line);
  for (int left = count.empty() ? 1 : std::stoi(count); left > 0; --left) bytes += piece;
}

// An indented line: what an application has seen, or the answer's own Connection field.
void read_detail(CorpusAnswer& answer, std::string_view line) {
  const std::string_view key = take_word(line, ':');
  if (line.starts_with(' ')) line.remove_prefix(1);
  const std::string value = unescape(line);
  if (key == "host")
    answer.host = value;
  else if (key == "path")
    answer.path = value;
  else if (key == "query")
    answer.query = value;
  else if (key == "version")
    answer.version = value;
  else if (key == "body")
    answer.body = value;
  else if (key == "connection")
    answer.connection = value;
  else if (key == "continue" && value == "yes")
    answer.continues = true;
  else if (key == "field")
    (answer.fields ? *answer.fields : answer.fields.emplace()).push_back(value);
  else
    throw std::runtime_error("an unknown detail");
}

class Reader {
 public:
  void take(std::string_view line) {
    if (line.starts_with('#')) return;
    if (line.empty()) {
      end();
    } else if (line.starts_with('[')) {
      if (open_ || !line.ends_with(']')) throw std::runtime_error("a name that is not the first line of an entry");
      entry_ = {.name = std::string(line.substr(1, line.size() - 2))};
      open_ = true;
    } else if (!open_) {
      throw std::runtime_error("a line outside of an entry");
    } else {
      take_part(line);
    }
  }
  void end() {
    if (!open_) return;
    if (entry_.source.empty() || entry_.bytes.empty()) throw std::runtime_error("an entry without source or bytes");
    if (!end_) end_ = !entry_.answers.empty() && entry_.answers.back().refused ? CorpusEnd::kClose : CorpusEnd::kOpen;
    entry_.end = *end_;
    entries.push_back(std::move(entry_));
    end_.reset();
    open_ = false;
  }

  std::vector<CorpusEntry> entries;

 private:
  void take_part(std::string_view line) {
    if (line.starts_with('>')) {
      read_bytes(entry_.bytes, line.substr(1));
    } else if (line.starts_with("< ")) {
      entry_.answers.push_back(read_answer(line.substr(2)));
    } else if (line.starts_with("  ")) {
      if (entry_.answers.empty()) throw std::runtime_error("a detail without an answer");
      read_detail(entry_.answers.back(), line.substr(2));
    } else {
      take_key(line);
    }
  }
  void take_key(std::string_view line) {
    const std::string_view key = take_word(line, ':');
    const std::string_view value = line.substr(std::min(line.find_first_not_of(' '), line.size()));
    if (key == "source")
      entry_.source = value;
    else if (key == "wrong")
      entry_.wrong = value;
    else if (key == "limits")
      read_limits(entry_.limits, value);
    else if (key == "app" && (value == "keep" || value == "drop"))
      entry_.app = value == "keep" ? CorpusApp::kKeep : CorpusApp::kDrop;
    else if (key == "then" && value == "open")
      end_ = CorpusEnd::kOpen;
    else if (key == "then" && value == "close")
      end_ = CorpusEnd::kClose;
    else if (key == "then" && value == "waiting")
      end_ = CorpusEnd::kWaiting;
    else if (key != "note")
      throw std::runtime_error("an unknown key");
  }

  CorpusEntry entry_ = {};
  std::optional<CorpusEnd> end_ = {};
  bool open_ = false;
};

void read_file(Reader& reader, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    try {
      reader.take(line);
    } catch (const std::exception& error) {
      throw std::runtime_error(path.string() + ':' + std::to_string(number) + ": " + error.what());
    }
  }
  reader.end();
}

}  // namespace

std::vector<CorpusEntry> read_corpus() {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : std::filesystem::directory_iterator(PRONG_CORPUS "/http"))
    if (file.path().extension() == ".txt") paths.push_back(file.path());
  std::ranges::sort(paths);
  Reader reader;
  for (const std::filesystem::path& path : paths) read_file(reader, path);
  return std::move(reader.entries);
}

}  // namespace prong::test
