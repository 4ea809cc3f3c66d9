#include "net/output.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace prong::net {
namespace {

// A text buffer up to this size stays with an idle connection, so that its next answer allocates nothing; it holds the
// head of an answer and a short body. Larger ones are given back: idle connections are many.
constexpr std::size_t kMostKept = 1024;
// So does room for segments: a file takes two, an answer of many parts can need hundreds.
constexpr std::size_t kMostSegmentsKept = 4;

}  // namespace

std::uint64_t Output::size() const {
  std::uint64_t size = 0;
  for (std::size_t i = front_; i < segments_.size(); ++i)
    size += segments_[i].is_file ? segments_[i].file.size : segments_[i].memory().size();
  return size - sent_;
}

bool Output::holds_file() const {
  return std::any_of(segments_.begin() + static_cast<std::ptrdiff_t>(front_), segments_.end(),
                     [](const Segment& segment) { return segment.is_file; });
}

std::string_view Output::memory() const {
  assert(!front_is_file());
  return segments_[front_].memory().substr(sent_);
}

std::size_t Output::memory_pieces(std::span<std::string_view> into) const {
  std::size_t pieces = 0;
  for (std::size_t i = front_; pieces < into.size() && i < segments_.size() && !segments_[i].is_file; ++i)
    into[pieces++] = i == front_ ? memory() : segments_[i].memory();
  return pieces;
}

void Output::consume(std::uint64_t size) {
  assert(!empty());
  while (!front_is_file() && memory().size() < size) {
    const std::size_t part = memory().size();
    size -= part;
    sent_total_ += part;
    pop();
    assert(!empty());
  }
  sent_total_ += size;
  Segment& front = segments_[front_];
  if (front.is_file) {
    assert(size <= front.file.size);
    front.file.offset += size;
    front.file.size -= size;
    if (front.file.size == 0) pop();
    return;
  }
  assert(size <= front.memory().size() - sent_);
  sent_ += static_cast<std::size_t>(size);
  if (sent_ == front.memory().size()) return pop();
  // A streamed answer whose client is slow is appended to for ever: give back what was sent, at a cost of one copied
  // byte for each that was sent.
  if (!front.borrowed.empty() || sent_ < front.text.size() / 2) return;
  front.text.erase(0, sent_);
  sent_ = 0;
}

// The vector keeps its first segment, emptied, as the buffer of the next answer: see text().
void Output::pop() {
  Segment& front = segments_[front_];
  // Mostly there is one, of memory alone.
  if (segments_.size() == 1 && !front.is_file && front.borrowed.empty() && front.owner == nullptr &&
      front.text.capacity() <= kMostKept) {
    front.text.clear();
    sent_ = 0;
    front_ = 1;
    return;
  }
  front.file.file.reset();
  front.owner.reset();
  if (front_ > 0) std::string().swap(front.text);
  sent_ = 0;
  ++front_;
  if (!empty()) return;
  std::string kept = std::move(segments_.front().text);
  segments_.clear();
  if (segments_.capacity() > kMostSegmentsKept) segments_.shrink_to_fit();
  front_ = 0;
  if (kept.capacity() > kMostKept) return;
  kept.clear();
  segments_.push_back({.text = std::move(kept)});
  front_ = 1;
}

std::string& Output::text() {
  if (empty() && front_ == 1) front_ = 0;
  if (empty() || segments_.back().is_file || !segments_.back().borrowed.empty()) segments_.emplace_back();
  return segments_.back().text;
}

void Output::append(std::string&& text) {
  if (text.empty()) return;
  if (text.size() <= kMostBorrowedAndCopied) {
    this->text() += text;
    return;
  }
  segments_.push_back({.text = std::move(text)});
}

void Output::append(std::string_view text) {
  if (text.size() <= kMostBorrowedAndCopied) {
    if (!text.empty()) this->text() += text;
    return;
  }
  segments_.push_back({.borrowed = text});
}

void Output::append(SharedText text) {
  if (text.text.size() <= kMostBorrowedAndCopied) return append(text.text);
  segments_.push_back({.borrowed = text.text, .owner = std::move(text.owner)});
}

void Output::append(FileBody&& file) {
  if (file.size == 0) return;
  segments_.push_back({.file = std::move(file), .is_file = true});
}

void Output::append(Output&& other) {
  assert(other.sent_total_ == 0);
  Output taken = std::move(other);
  other = Output();
  for (std::size_t i = taken.front_; i < taken.segments_.size(); ++i) {
    Segment& segment = taken.segments_[i];
    if (segment.is_file || !segment.borrowed.empty())
      segments_.push_back(std::move(segment));
    else
      append(std::move(segment.text));
  }
}

}  // namespace prong::net
