#include "worker/body_pipe.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <span>
#include <stdexcept>
#include <utility>

#include "os/file.hpp"

namespace prong::worker {
namespace {

using State = http::BodySource::State;

// How long a client has to make room in memory before the file is begun. Who keeps up with the application makes some
// within a millisecond, and then nothing goes through the file; longer than a turn of a busy I/O thread, and short
// beside what any slow client would cost the thread.
constexpr std::chrono::milliseconds kPatience{10};
// Of the file in one turn of the I/O thread.
constexpr std::size_t kLargestRead = 64U << 10U;
// What is lent may wait beyond the memory, since nothing is copied for it; and who lends is woken when most of it is
// gone. One wake-up for several parts: for each alone it costs more than the part.
constexpr std::size_t kLentBeyondMemory = 3;

class Reader final : public http::BodySource {
 public:
  Reader(std::shared_ptr<BodyPipe> pipe, std::optional<std::uint64_t> size) : pipe_(std::move(pipe)), size_(size) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  Reader(Reader&&) = delete;
  Reader& operator=(Reader&&) = delete;
  ~Reader() override { pipe_->abandon(); }

  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    const auto state = pipe_->read(into, most);
    // The way in which any source says why it cannot go on.
    if (!state) throw std::runtime_error(state.error().text());
    return *state;
  }
  [[nodiscard]] http::SharedText lend() override { return pipe_->lend(); }
  [[nodiscard]] std::optional<std::uint64_t> size() const noexcept override { return size_; }

 private:
  std::shared_ptr<BodyPipe> pipe_;
  std::optional<std::uint64_t> size_;
};

}  // namespace

std::string BodyPipe::fill(http::BodySource& source, const Tell& tell) {
  while (const std::optional<std::size_t> room = wait_for_room()) {
    std::string part;
    http::SharedText lent;
    State state = State::kFailed;
    std::string failure;
    try {
      lent = source.lend();
      state = lent.text.empty() ? source.read(part, *room) : State::kMore;
    } catch (const std::exception& exception) {
      failure = exception.what();
    } catch (...) {
      failure = "an exception that is no std::exception";
    }
    if (lent.text.empty())
      keep(part, tell);
    else if (!keep_lent(lent))
      (void)write(lent.text, tell);  // what its client does not take in time goes the way of all other bytes
    if (publish(state)) tell.more();
    if (state == State::kEnd || state == State::kFailed) return failure;
  }
  return {};
}

bool BodyPipe::write(std::string_view bytes, const Tell& tell) {
  while (!bytes.empty()) {
    const std::optional<std::size_t> room = wait_for_room();
    if (!room) return false;
    const std::string_view part = bytes.substr(0, *room);
    keep(part, tell);
    if (publish(State::kMore)) tell.more();
    bytes.remove_prefix(part.size());
  }
  return true;
}

void BodyPipe::finish(State state, const Tell& tell) {
  if (publish(state)) tell.more();
}

// Where it is, beside what waits already: the source made it anyway. Whether that is done, or nobody wants it.
bool BodyPipe::keep_lent(http::SharedText& part) {
  std::unique_lock lock(mutex_);
  const auto fits = [this] {
    return abandoned_ || (unread() == 0 && waiting_bytes_ <= kLentBeyondMemory * room_.memory);
  };
  if (room_.spool == 0)
    has_room_.wait(lock, fits);
  else if (!fits() && (unread() > 0 || !has_room_.wait_for(lock, kPatience, fits)))
    return false;
  if (abandoned_) return true;
  waiting_bytes_ += part.text.size();
  waiting_.push_back({.lent = std::move(part)});
  return true;
}

void BodyPipe::add(std::string_view part) {
  waiting_bytes_ += part.size();
  if (waiting_.empty() || !waiting_.back().lent.text.empty())
    waiting_.push_back({.text = std::string(part)});
  else
    waiting_.back().text += part;
}

std::size_t BodyPipe::memory_left() const {
  return unread() > 0 || waiting_bytes_ >= room_.memory ? 0 : room_.memory - waiting_bytes_;
}

// No more at a time than would fit into the memory.
std::size_t BodyPipe::file_left() const {
  const std::uint64_t left = room_.spool > written_ ? room_.spool - written_ : 0;
  return static_cast<std::size_t>(std::min<std::uint64_t>(left, room_.memory));
}

// Nothing: nobody wants any more.
std::optional<std::size_t> BodyPipe::wait_for_room() {
  std::unique_lock lock(mutex_);
  const auto has_memory = [this] { return abandoned_ || memory_left() > 0; };
  if (unread() == 0 && room_.spool > 0) has_room_.wait_for(lock, kPatience, has_memory);
  has_room_.wait(lock, [&] { return has_memory() || file_left() > 0; });
  if (abandoned_) return std::nullopt;
  return memory_left() > 0 ? memory_left() : file_left();
}

void BodyPipe::keep(std::string_view part, const Tell& tell) {
  const auto stored = store(part);
  if (stored) return;
  tell.no_file(stored.error().text());
  wait_for_memory(part);
}

// Where there is room now, which may be more than the part was made for. The error: it is nowhere.
Result<void> BodyPipe::store(std::string_view part) {
  {
    const std::lock_guard lock(mutex_);
    if (part.empty() || abandoned_) return {};
    if (unread() == 0 && (room_.spool == 0 || waiting_bytes_ + part.size() <= room_.memory)) {
      add(part);
      return {};
    }
    is_writing_ = true;
  }
  auto written = write_to_file(part);
  os::UniqueFd done;  // closed without the lock
  const std::lock_guard lock(mutex_);
  is_writing_ = false;
  if (written)
    written_ += part.size();
  else
    room_.spool = 0;
  if (abandoned_) read_ = written_;
  done = take_file_if_done();
  return written;
}

// Without the lock: the I/O thread leaves the file alone behind written_, and does not close it meanwhile.
Result<void> BodyPipe::write_to_file(std::string_view part) {
  if (!file_.valid()) {
    auto file = os::open_unnamed_file(room_.directory);
    if (!file) return failure(std::move(file.error()));
    file_ = std::move(*file);
  }
  // At the file's position, which only this thread moves.
  if (auto done = os::write_all(file_.get(), part); !done)
    return failure("cannot store an answer in \"" + room_.directory + "\"", std::move(done.error()));
  return {};
}

// For a part that could not be written to the file: as if there were none.
void BodyPipe::wait_for_memory(std::string_view part) {
  std::unique_lock lock(mutex_);
  has_room_.wait(lock, [&] {
    return abandoned_ || (unread() == 0 && (waiting_.empty() || waiting_bytes_ + part.size() <= room_.memory));
  });
  if (!abandoned_) add(part);
}

// Whether the reader is to be told.
bool BodyPipe::publish(State state) {
  const std::lock_guard lock(mutex_);
  if (state == State::kEnd || state == State::kFailed) state_ = state;
  const bool has_news = !waiting_.empty() || unread() > 0 || state_ != State::kWait;
  return has_news && std::exchange(reader_waits_, false);
}

Result<State> BodyPipe::read(std::string& into, std::size_t most) {
  os::UniqueFd done;  // closed without the lock
  std::unique_lock lock(mutex_);
  if (!waiting_.empty()) {
    take(into, most);
  } else if (unread() > 0) {
    if (auto got = read_file(into, most, lock); !got) return failure(std::move(got.error()));
    done = take_file_if_done();
  }
  has_room_.notify_one();
  if (!waiting_.empty() || unread() > 0) return State::kMore;
  reader_waits_ = state_ == State::kWait;
  return state_;
}

// Of the first piece.
void BodyPipe::take(std::string& into, std::size_t most) {
  Piece& front = waiting_.front();
  const std::string_view bytes = front.bytes().substr(taken_, most);
  const std::size_t size = bytes.size();
  if (into.empty() && size == front.text.size())
    into = std::move(front.text);
  else
    into += bytes;
  pop(size);
}

void BodyPipe::pop(std::size_t size) {
  taken_ += size;
  waiting_bytes_ -= size;
  if (taken_ < waiting_.front().bytes().size()) return;
  waiting_.pop_front();
  taken_ = 0;
}

http::SharedText BodyPipe::lend() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() || waiting_.front().lent.text.empty() || taken_ > 0) return {};
  http::SharedText lent = std::move(waiting_.front().lent);
  waiting_bytes_ -= lent.text.size();
  waiting_.pop_front();
  if (waiting_bytes_ <= room_.memory) has_room_.notify_one();
  return lent;
}

// Leaves the lock meanwhile.
Result<void> BodyPipe::read_file(std::string& into, std::size_t most, std::unique_lock<std::mutex>& lock) {
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>({most, unread(), kLargestRead}));
  const std::uint64_t offset = read_;
  lock.unlock();
  const std::size_t before = into.size();
  into.resize(before + size);
  auto got = os::read_at(file_.get(), offset, std::span(into).subspan(before));
  lock.lock();
  if (!got) return failure("cannot read what was stored of an answer", std::move(got.error()));
  if (*got < size) return failure("what was stored of an answer has gone");
  read_ += size;
  return {};
}

// The file, if it has been read to its end. To be closed by the caller.
os::UniqueFd BodyPipe::take_file_if_done() {
  if (is_writing_ || unread() > 0) return {};
  written_ = 0;
  read_ = 0;
  return std::exchange(file_, {});
}

void BodyPipe::abandon() {
  os::UniqueFd done;  // closed without the lock
  const std::lock_guard lock(mutex_);
  abandoned_ = true;
  read_ = written_;
  done = take_file_if_done();
  has_room_.notify_one();
}

std::unique_ptr<http::BodySource> make_reader(std::shared_ptr<BodyPipe> pipe, std::optional<std::uint64_t> size) {
  return std::make_unique<Reader>(std::move(pipe), size);
}

}  // namespace prong::worker
