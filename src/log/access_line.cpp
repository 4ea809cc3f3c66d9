#include "log/access_line.hpp"

#include <fmt/format.h>

#include <array>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace prong::log {
namespace {

using Part = AccessFormat::Part;

// Escape::kBareOfOurs.
constexpr EscapeSet kOurs = EscapeSet::bare();

// The longest text of a number of 64 bits; every late field is one, or a shorter word.
constexpr std::size_t kMostNumberBytes = 20;

bool is_late(AccessField field) {
  return field == AccessField::kBodyBytes || field == AccessField::kBytes || field == AccessField::kServiceUs ||
         field == AccessField::kQueueUs || field == AccessField::kComplete;
}

void append_number(std::string& line, std::uint64_t number) {
  const fmt::format_int text{number};
  line.append(text.data(), text.size());
}

void append_nothing(std::string& line, Escape escape) {
  line += escape == Escape::kJson ? "null" : "-";
}

void append_late(std::string& line, const Part& part, const AccessResult& result) {
  if (part.field == AccessField::kBodyBytes) return append_number(line, result.body_bytes);
  if (part.field == AccessField::kBytes) return append_number(line, result.bytes);
  if (part.field == AccessField::kServiceUs) return append_number(line, result.service_us);
  if (part.field == AccessField::kQueueUs) {
    if (result.queue_us) return append_number(line, *result.queue_us);
    return append_nothing(line, part.escape);
  }
  const bool whole = result.completeness == Completeness::kWhole;
  if (part.escape == Escape::kJson)
    line += whole ? "true" : "false";
  else
    line += whole ? "yes" : "no";
}

}  // namespace

// Values into a line, as the part of the format wants them.
class AccessLineMaker::Writer {
 public:
  Writer(std::string& line, const EscapeSet& bare, std::size_t most_value_bytes)
      : line_(&line), bare_(&bare), most_(most_value_bytes) {}

  [[nodiscard]] std::string& line() { return *line_; }

  // Values that belong together, with a blank between them. Without the first there is none; others may be missing.
  void texts(Escape escape, std::initializer_list<std::string_view> values) {
    if (values.begin()->empty()) return append_nothing(*line_, escape);
    if (escape == Escape::kJson) *line_ += '"';
    for (const std::string_view& value : values) {
      if (value.empty()) continue;
      if (&value != values.begin()) append(escape, " ");
      append(escape, value.substr(0, most_));
      if (value.size() > most_) *line_ += "...";
    }
    if (escape == Escape::kJson) *line_ += '"';
  }
  void text(Escape escape, std::string_view value) { texts(escape, {value}); }

  void number(Escape escape, std::uint64_t value, bool known = true) {
    if (known)
      append_number(*line_, value);
    else
      append_nothing(*line_, escape);
  }

  // What is ours and has no byte that needs an escape.
  template <class Append>
  void plain_text(Escape escape, Append append) {
    if (escape == Escape::kJson) *line_ += '"';
    append(*line_);
    if (escape == Escape::kJson) *line_ += '"';
  }

 private:
  void append(Escape escape, std::string_view value) {
    switch (escape) {
      case Escape::kQuoted:
        return append_quoted(*line_, value);
      case Escape::kBare:
        return append_bare(*line_, value, *bare_);
      case Escape::kBareOfOurs:
        return append_bare(*line_, value, kOurs);
      case Escape::kJson:
        return append_json(*line_, value);
    }
  }

  std::string* line_;
  const EscapeSet* bare_;
  std::size_t most_;
};

namespace {

std::string_view protocol_text(const AccessRecord& record) {
  constexpr std::array<std::string_view, 10> kVersions{"HTTP/1.0", "HTTP/1.1", "HTTP/1.2", "HTTP/1.3", "HTTP/1.4",
                                                       "HTTP/1.5", "HTTP/1.6", "HTTP/1.7", "HTTP/1.8", "HTTP/1.9"};
  const std::size_t minor = record.protocol_minor.value_or(kVersions.size());
  return minor < kVersions.size() ? kVersions.at(minor) : std::string_view{};
}

// What never changes in a process becomes part of the text around it.
std::optional<std::string> constant_text(const Part& part, const Subject& worker) {
  // The name of a pool has letters, digits, '-' and '_' (config/schema.hpp): nothing that any format escapes.
  if (part.field == AccessField::kPool) return part.escape == Escape::kJson ? "\"" + worker.pool + "\"" : worker.pool;
  if (part.field == AccessField::kWorker) return fmt::format("{}", worker.slot);
  if (part.field == AccessField::kGeneration) return fmt::format("{}", worker.generation);
  if (part.field == AccessField::kPid) return fmt::format("{}", worker.pid);
  if (part.field == AccessField::kLiteral) return part.text;
  return std::nullopt;
}

}  // namespace

AccessLineMaker::AccessLineMaker(const AccessFormat& format, const Subject& worker) : bare_(format.bare()) {
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) parts_.push_back({.text = std::exchange(literal, {})});
  };
  for (const Part& part : format.parts()) {
    if (auto text = constant_text(part, worker)) {
      literal += *text;
      continue;
    }
    flush();
    parts_.push_back(part);
  }
  literal += '\n';
  flush();
}

void AccessLineMaker::begin(AccessLine& line, const AccessRecord& record, std::size_t most_value_bytes) {
  line.text_.clear();
  line.gaps_.clear();
  Writer writer{line.text_, bare_, most_value_bytes};
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    if (is_late(parts_[i].field))
      line.gaps_.push_back(
          {.offset = static_cast<std::uint32_t>(line.text_.size()), .part = static_cast<std::uint32_t>(i)});
    else
      append_early(writer, parts_[i], record);
  }
}

void AccessLineMaker::append_early(Writer& writer, const Part& part, const AccessRecord& record) {
  const Escape escape = part.escape;
  switch (part.field) {
    case AccessField::kLiteral:
      writer.line() += part.text;
      return;
    case AccessField::kClient:
      return writer.text(escape, record.client);
    case AccessField::kClientPort:
      return writer.number(escape, record.client_port, record.client_port != 0);
    case AccessField::kPeer:
      return writer.text(escape, record.peer);
    case AccessField::kPeerPort:
      return writer.number(escape, record.peer_port, record.peer_port != 0);
    case AccessField::kScheme:
      return writer.text(escape, record.scheme);
    case AccessField::kListener:
      return writer.text(escape, record.listener);
    case AccessField::kTime:
      return writer.plain_text(escape, [&](std::string& line) { time_.append_iso(line, record.time); });
    case AccessField::kTimeCommon:
      return writer.plain_text(escape, [&](std::string& line) { time_.append_common(line, record.time); });
    case AccessField::kTimeUnix:
      return AccessTime::append_unix(writer.line(), record.time);
    case AccessField::kMethod:
      return writer.text(escape, record.method);
    case AccessField::kTarget:
      return writer.text(escape, record.target);
    case AccessField::kPath:
      return writer.text(escape, record.path);
    case AccessField::kQuery:
      return writer.text(escape, record.query);
    case AccessField::kProtocol:
      return writer.text(escape, protocol_text(record));
    case AccessField::kRequest:
      return writer.texts(escape, {record.method, record.target, protocol_text(record)});
    case AccessField::kStatus:
      return writer.number(escape, record.status, record.status != 0);
    case AccessField::kHost:
      return writer.text(escape, record.host);
    case AccessField::kReferer:
      return writer.text(escape, record.request_headers("Referer"));
    case AccessField::kUserAgent:
      return writer.text(escape, record.request_headers("User-Agent"));
    case AccessField::kHeader:
      return writer.text(escape, record.request_headers(part.text));
    case AccessField::kResponse:
      return writer.text(escape, record.response_headers(part.text));
    case AccessField::kConnection:
      return writer.number(escape, record.connection);
    case AccessField::kRequestNumber:
      return writer.number(escape, record.request_number);
    case AccessField::kBodyBytes:
    case AccessField::kBytes:
    case AccessField::kServiceUs:
    case AccessField::kQueueUs:
    case AccessField::kComplete:
    case AccessField::kPool:
    case AccessField::kWorker:
    case AccessField::kGeneration:
    case AccessField::kPid:
      return;  // late, or a literal by now
  }
}

void AccessLineMaker::finish(const AccessLine& line, const AccessResult& result, std::string& into) const {
  std::size_t done = 0;
  for (const AccessLine::Gap& gap : line.gaps_) {
    into.append(line.text_, done, gap.offset - done);
    append_late(into, parts_[gap.part], result);
    done = gap.offset;
  }
  into.append(line.text_, done);
}

std::size_t AccessLineMaker::most_bytes(const AccessLine& line) {
  return line.text_.size() + line.gaps_.size() * kMostNumberBytes;
}

bool AccessLineMaker::recycle(AccessLine& line) {
  constexpr std::size_t kMostKept = 4096;  // a line that is longer is rare
  line.text_.clear();
  line.gaps_.clear();
  return line.text_.capacity() <= kMostKept;
}

}  // namespace prong::log
