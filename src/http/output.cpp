#include "http/output.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace prong::http {
namespace {

// A text buffer up to this size stays with an idle connection, so that its next answer allocates nothing; it holds the
// head of an answer and a short body. Larger ones are given back: idle connections are many.
constexpr std::size_t kMostKept = 1024;
// A body up to this size is copied behind its head, and both leave in one send(2).
constexpr std::size_t kMostCopied = std::size_t{16} << 10U;

}  // namespace

std::uint64_t Output::size() const {
  std::uint64_t size = 0;
  for (std::size_t i = front_; i < segments_.size(); ++i)
    size += segments_[i].is_file ? segments_[i].file.size : segments_[i].text.size();
  return size - sent_;
}

bool Output::holds_file() const {
  return std::any_of(segments_.begin() + static_cast<std::ptrdiff_t>(front_), segments_.end(),
                     [](const Segment& segment) { return segment.is_file; });
}

std::string_view Output::memory() const {
  assert(!front_is_file());
  return std::string_view(segments_[front_].text).substr(sent_);
}

void Output::consume(std::uint64_t size) {
  assert(!empty());
  Segment& front = segments_[front_];
  if (front.is_file) {
    assert(size <= front.file.size);
    front.file.offset += size;
    front.file.size -= size;
    if (front.file.size == 0) pop();
    return;
  }
  assert(size <= front.text.size() - sent_);
  sent_ += static_cast<std::size_t>(size);
  if (sent_ == front.text.size()) pop();
}

// The vector keeps its first segment, emptied, as the buffer of the next answer: see text().
void Output::pop() {
  Segment& front = segments_[front_];
  front.file.file.reset();
  sent_ = 0;
  ++front_;
  if (!empty()) return;
  std::string kept = std::move(segments_.front().text);
  segments_.clear();
  front_ = 0;
  if (kept.capacity() > kMostKept) return;
  kept.clear();
  segments_.push_back({.text = std::move(kept)});
  front_ = 1;
}

std::string& Output::text() {
  if (empty() && front_ == 1) front_ = 0;
  if (empty() || segments_.back().is_file) segments_.emplace_back();
  return segments_.back().text;
}

void Output::append(std::string&& text) {
  if (text.empty()) return;
  if (text.size() <= kMostCopied) {
    this->text() += text;
    return;
  }
  segments_.push_back({.text = std::move(text)});
}

void Output::append(FileBody&& file) {
  if (file.size == 0) return;
  segments_.push_back({.file = std::move(file), .is_file = true});
}

}  // namespace prong::http
