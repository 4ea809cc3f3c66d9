#include "worker/body_pipe.hpp"

#include <algorithm>
#include <exception>
#include <utility>

namespace prong::worker {
namespace {

using State = http::BodySource::State;

class Reader final : public http::BodySource {
 public:
  Reader(std::shared_ptr<BodyPipe> pipe, std::optional<std::uint64_t> size) : pipe_(std::move(pipe)), size_(size) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  Reader(Reader&&) = delete;
  Reader& operator=(Reader&&) = delete;
  ~Reader() override { pipe_->abandon(); }

  [[nodiscard]] State read(std::string& into, std::size_t most) override { return pipe_->read(into, most); }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return size_; }

 private:
  std::shared_ptr<BodyPipe> pipe_;
  std::optional<std::uint64_t> size_;
};

}  // namespace

std::string BodyPipe::fill(http::BodySource& source, const std::function<void()>& tell) {
  while (const std::optional<std::size_t> room = wait_for_room()) {
    std::string part;
    State state = State::kFailed;
    std::string failure;
    try {
      state = source.read(part, *room);
    } catch (const std::exception& exception) {
      failure = exception.what();
    } catch (...) {
      failure = "an exception that is no std::exception";
    }
    if (put(part, state)) tell();
    if (state == State::kEnd || state == State::kFailed) return failure;
  }
  return {};
}

// Nothing: nobody wants any more.
std::optional<std::size_t> BodyPipe::wait_for_room() {
  std::unique_lock lock(mutex_);
  has_room_.wait(lock, [this] { return abandoned_ || waiting_.size() < most_; });
  if (abandoned_) return std::nullopt;
  return most_ - waiting_.size();
}

// Whether the reader is to be told.
bool BodyPipe::put(std::string_view part, State state) {
  const std::lock_guard lock(mutex_);
  waiting_ += part;
  if (state == State::kEnd || state == State::kFailed) state_ = state;
  const bool has_news = !waiting_.empty() || state_ != State::kWait;
  return has_news && std::exchange(reader_waits_, false);
}

State BodyPipe::read(std::string& into, std::size_t most) {
  const std::lock_guard lock(mutex_);
  const std::size_t size = std::min(most, waiting_.size());
  into.append(waiting_, 0, size);
  waiting_.erase(0, size);
  has_room_.notify_one();
  if (!waiting_.empty()) return State::kMore;
  reader_waits_ = state_ == State::kWait;
  return state_;
}

void BodyPipe::abandon() {
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  has_room_.notify_one();
}

std::unique_ptr<http::BodySource> make_reader(std::shared_ptr<BodyPipe> pipe, std::optional<std::uint64_t> size) {
  return std::make_unique<Reader>(std::move(pipe), size);
}

}  // namespace prong::worker
