#include "worker/stream_pipe.hpp"

#include <algorithm>
#include <cstring>

#include "os/clock.hpp"

namespace prong::worker {

// The I/O thread goes over to the deadline of a client who is silent.
void StreamPipe::begin_to_wait() {
  if (std::exchange(waits_, true)) return;
  tell_();
}

// Whoever is woken works from now on, even if the scheduler lets it wait.
void StreamPipe::wake() {
  waits_ = false;
  changed_.notify_one();
}

app::StreamPartner::Received StreamPipe::read(std::span<char> buffer, std::size_t& size,
                                              std::optional<std::chrono::nanoseconds> timeout, AtDrain at_drain) {
  size = 0;
  std::optional<os::TimePoint> due;
  std::unique_lock lock(mutex_);
  returns_at_drain_ = at_drain == AtDrain::kReturn;
  while (true) {
    if (gone_) return Received::kGone;
    if (taken_ < input_.size()) break;
    if (input_ended_) return Received::kEnd;
    if (draining_ && returns_at_drain_) return Received::kDraining;
    if (timeout && !due) due = os::now() + *timeout;
    begin_to_wait();
    if (!due) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, *due) == std::cv_status::timeout && waits_) {
      waits_ = false;
      tell_();  // it works again
      return Received::kTimeout;
    }
  }
  const bool was_full = input_.size() - taken_ >= buffer_;
  size = std::min(buffer.size(), input_.size() - taken_);
  std::memcpy(buffer.data(), input_.data() + taken_, size);
  taken_ += size;
  if (taken_ == input_.size()) {
    input_.clear();
    taken_ = 0;
  }
  if (was_full) tell_();
  return Received::kData;
}

bool StreamPipe::write(std::string_view bytes) {
  std::unique_lock lock(mutex_);
  while (!bytes.empty()) {
    if (gone_) return false;
    if (output_.size() >= buffer_) {
      begin_to_wait();
      changed_.wait(lock);
      continue;
    }
    const bool was_empty = output_.empty();
    const std::size_t part = std::min(bytes.size(), buffer_ - output_.size());
    output_ += bytes.substr(0, part);
    bytes.remove_prefix(part);
    if (was_empty) tell_();
  }
  return !gone_;
}

void StreamPipe::cut() {
  const std::lock_guard lock(mutex_);
  cut_ = true;
}

void StreamPipe::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
}

StreamPipe::Look StreamPipe::look() {
  const std::lock_guard lock(mutex_);
  return {.waits = waits_,
          .finished = finished_ && (output_.empty() || cut_),
          .cut = cut_ && finished_,
          .takes_input = input_.size() - taken_ < buffer_};
}

void StreamPipe::push(std::span<const char> bytes) {
  const std::lock_guard lock(mutex_);
  if (taken_ > 0) {
    input_.erase(0, taken_);
    taken_ = 0;
  }
  input_.append(bytes.data(), bytes.size());
  wake();
}

void StreamPipe::push_end() {
  const std::lock_guard lock(mutex_);
  input_ended_ = true;
  wake();
}

void StreamPipe::take(net::Output& output) {
  const std::lock_guard lock(mutex_);
  if (output_.empty()) return;
  const bool was_full = output_.size() >= buffer_;
  output.append(std::exchange(output_, {}));
  if (was_full) wake();
}

void StreamPipe::drain() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
  if (returns_at_drain_) wake();
}

void StreamPipe::abandon() {
  const std::lock_guard lock(mutex_);
  gone_ = true;
  wake();
}

}  // namespace prong::worker
