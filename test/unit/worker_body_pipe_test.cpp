// Bodies that are made on one thread and taken on another: their order, where they wait, and who waits.
#include <catch2/catch.hpp>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <random>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "worker/body_pipe.hpp"

namespace prong::worker {
namespace {

using State = http::BodySource::State;

// So that no byte can take another one's place unseen.
char byte_at(std::size_t position) {
  const std::size_t line = position / 8;
  return static_cast<char>(line >> (8 * (position % 8)));
}
std::string bytes_up_to(std::size_t size) {
  std::string all(size, '\0');
  for (std::size_t i = 0; i < size; ++i) all[i] = byte_at(i);
  return all;
}

// A body in pieces of any size, which counts what it has made.
class Pieces final : public http::BodySource {
 public:
  Pieces(std::size_t size, std::atomic<std::size_t>& made, State last = State::kEnd, bool lends = false)
      : size_(size), made_(&made), last_(last), lends_(lends) {}
  [[nodiscard]] State read(std::string& into, std::size_t most) override {
    const std::size_t begin = made_->load();
    const std::size_t size =
        std::min({most, size_ - begin, std::uniform_int_distribution<std::size_t>(1, 900)(random_)});
    for (std::size_t i = begin; i < begin + size; ++i) into += byte_at(i);
    made_->store(begin + size);
    made_->notify_all();
    if (begin + size < size_) return State::kMore;
    if (last_ == State::kWait) throw std::runtime_error("thrown at the end");
    return last_;
  }
  // Now and then, also more than any memory here holds.
  [[nodiscard]] http::SharedText lend() override {
    const std::size_t begin = made_->load();
    if (!lends_ || random_() % 3 == 0) return {};
    const std::size_t size = std::min(size_ - begin - 1, std::uniform_int_distribution<std::size_t>(1, 3'000)(random_));
    auto text = std::make_shared<std::string>();
    for (std::size_t i = begin; i < begin + size; ++i) *text += byte_at(i);
    made_->store(begin + size);
    made_->notify_all();
    return {.owner = text, .text = *text};
  }

 private:
  std::size_t size_;
  std::atomic<std::size_t>* made_;
  State last_;
  bool lends_;
  std::minstd_rand random_{7};  // NOLINT(cert-msc51-cpp): the same each time
};

// A body on its way: a thread makes it, the test takes it.
class Body {
 public:
  Body(std::size_t size, const BodyPipe::Room& room, State last = State::kEnd, bool lends = false)
      : pipe_(std::make_shared<BodyPipe>(room)), reader_(make_reader(pipe_, size)), source_(size, made_, last, lends) {
    thread_ = std::thread([this] {
      failure_ = pipe_->fill(source_, {.more = [this] { told_.release(); },
                                       .no_file = [this](std::string why) { warnings_.push_back(std::move(why)); }});
    });
  }
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() {
    leave();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] std::size_t made() const { return made_; }
  void wait_until_made(std::size_t size) const {
    for (std::size_t made = made_; made < size; made = made_) made_.wait(made);
  }
  // The thread is free. The text of its exception.
  std::string wait_for_thread() {
    thread_.join();
    return failure_;
  }
  // After that.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }
  void leave() { reader_.reset(); }
  State take(std::string& into, std::size_t most) {
    if (const http::SharedText lent = reader_->lend(); !lent.text.empty()) {
      into += lent.text;
      return State::kMore;
    }
    const State state = reader_->read(into, most);
    if (state == State::kWait) told_.acquire();
    return state;
  }
  // All that is left, by pieces of up to `most`.
  State take_all(std::string& into, std::size_t most = 700) {
    while (true)
      if (const State state = take(into, most); state == State::kEnd || state == State::kFailed) return state;
  }

 private:
  std::atomic<std::size_t> made_ = 0;
  std::counting_semaphore<> told_{0};
  std::shared_ptr<BodyPipe> pipe_;
  std::unique_ptr<http::BodySource> reader_;
  Pieces source_;
  std::string failure_;
  std::vector<std::string> warnings_;
  std::thread thread_;
};

// Files without a name in a folder of our own.
class Folder {
 public:
  Folder() { std::filesystem::create_directory(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::size_t open_files() const {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (std::filesystem::read_symlink(entry, gone).string().starts_with(path_)) ++files;
    }
    return files;
  }

 private:
  std::string path_ =
      (std::filesystem::temp_directory_path() / ("prongd-body-pipe-" + std::to_string(::getpid()))).string();
};

// Files of this process cannot grow beyond that.
class FileLimit {
 public:
  explicit FileLimit(rlim_t most) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit now{.rlim_cur = most, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &now);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    (void)std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit before_{};
  void (*handler_)(int);
};

constexpr std::size_t kMemory = 1'000;

}  // namespace

TEST_CASE("a thread is free again while nobody takes what it has made, and all of it arrives in order") {
  const Folder folder;
  constexpr std::size_t kSize = 300'000;
  Body body(kSize, {.memory = kMemory, .spool = kSize, .directory = folder.path()});
  CHECK(body.wait_for_thread().empty());
  CHECK(body.made() == kSize);
  CHECK(folder.open_files() == 1);
  CHECK(std::filesystem::is_empty(folder.path()));
  std::string taken;
  CHECK(body.take_all(taken) == State::kEnd);
  CHECK(taken == bytes_up_to(kSize));
  CHECK(folder.open_files() == 0);
  CHECK(body.warnings().empty());
}

TEST_CASE("a body whose client stops and goes on at any time keeps its order, in memory and in the file") {
  const Folder folder;
  constexpr std::size_t kSize = 400'000;
  constexpr int kMostPauses = 40;
  std::minstd_rand random{3};  // NOLINT(cert-msc51-cpp): the same each time
  for (const auto& [spool, lends] : std::vector<std::pair<std::uint64_t, bool>>{
           {1, false}, {999, false}, {3'000, false}, {100'000, false}, {0, true}, {999, true}, {100'000, true}}) {
    Body body(kSize, {.memory = kMemory, .spool = spool, .directory = folder.path()}, State::kEnd, lends);
    std::string taken;
    State state = State::kMore;
    int pauses = 0;
    while (state != State::kEnd && state != State::kFailed) {
      // Nothing is decided by this time; it is longer than the pipe's patience, so that the file is begun.
      if (pauses < kMostPauses && random() % 4 == 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(12));
        ++pauses;
      }
      state = body.take(taken, 1 + random() % 5'000);
    }
    CHECK(state == State::kEnd);
    CHECK(taken == bytes_up_to(kSize));
    CHECK(pauses > 10);
    CHECK(folder.open_files() == 0);
  }
}

TEST_CASE("a thread waits when memory and file are full, and goes on when the file has been read to its end") {
  const Folder folder;
  constexpr std::size_t kSize = 50'000;
  constexpr std::size_t kSpool = 4'000;
  Body body(kSize, {.memory = kMemory, .spool = kSpool, .directory = folder.path()});
  std::string taken;
  body.wait_until_made(kMemory + kSpool);
  while (body.take(taken, 300) != State::kEnd) CHECK(body.made() <= taken.size() + kMemory + kSpool);
  CHECK(taken == bytes_up_to(kSize));
  CHECK(folder.open_files() == 0);
}

TEST_CASE("without a spool a thread makes no more than what the memory holds") {
  constexpr std::size_t kSize = 20'000;
  Body body(kSize, {.memory = kMemory});
  std::string taken;
  while (taken.size() < kSize) {
    body.wait_until_made(std::min(kSize, taken.size() + kMemory));
    CHECK(body.made() <= taken.size() + kMemory);
    (void)body.take(taken, 300);
  }
  CHECK(body.take_all(taken) == State::kEnd);
  CHECK(taken == bytes_up_to(kSize));
}

TEST_CASE("without a spool what is lent goes beyond the memory by a few parts only") {
  Body body(50'000, {.memory = kMemory}, State::kEnd, true);
  std::string taken;
  State state = State::kMore;
  while (state != State::kEnd) {
    // Up to three times the memory and a part there, and one that has no place yet.
    CHECK(body.made() - taken.size() <= 3 * kMemory + std::size_t{6'000});
    state = body.take(taken, 700);
  }
  CHECK(taken == bytes_up_to(50'000));
}

TEST_CASE("a thread that waits for a client who leaves is free, and the file is gone") {
  const Folder folder;
  Body body(1'000'000, {.memory = kMemory, .spool = 4'000, .directory = folder.path()});
  std::string taken;
  body.wait_until_made(5'000);
  (void)body.take(taken, 2'000);
  (void)body.take(taken, 2'000);
  body.leave();
  CHECK(body.wait_for_thread().empty());
  CHECK(body.made() == 5'000);
  CHECK(folder.open_files() == 0);
}

TEST_CASE("a body that breaks or throws does so behind its last byte, though that was in the file") {
  const Folder folder;
  constexpr std::size_t kSize = 20'000;
  for (const State last : {State::kFailed, State::kWait}) {
    Body body(kSize, {.memory = kMemory, .spool = kSize, .directory = folder.path()}, last);
    CHECK(body.wait_for_thread() == (last == State::kFailed ? "" : "thrown at the end"));
    std::string taken;
    CHECK(body.take_all(taken) == State::kFailed);
    CHECK(taken == bytes_up_to(kSize));
  }
}

TEST_CASE("where no file can be made the thread waits, says why once, and nothing is lost") {
  constexpr std::size_t kSize = 20'000;
  Body body(kSize, {.memory = kMemory, .spool = kSize, .directory = "/nonexistent"});
  std::string taken;
  // What was made for the file waits at the thread until it fits into the memory.
  body.wait_until_made(kMemory + 1);
  while (taken.size() < kSize) {
    CHECK(body.made() <= taken.size() + 2 * kMemory);
    if (body.take(taken, 300) == State::kEnd) break;
  }
  CHECK(taken == bytes_up_to(kSize));
  CHECK(body.wait_for_thread().empty());
  REQUIRE(body.warnings().size() == 1);
  CHECK(body.warnings()[0] == R"(cannot make a file in "/nonexistent": No such file or directory)");
}

TEST_CASE("when the disk is full in the middle the thread waits, says why once, and nothing is lost") {
  const Folder folder;
  constexpr std::size_t kSize = 60'000;
  std::string taken;
  std::vector<std::string> warnings;
  State state = State::kMore;
  {
    const FileLimit limit(2'345);
    Body body(kSize, {.memory = kMemory, .spool = kSize, .directory = folder.path()});
    body.wait_until_made(kMemory + 2'345 + 1);
    state = body.take_all(taken);
    (void)body.wait_for_thread();
    warnings = body.warnings();
  }
  CHECK(state == State::kEnd);
  CHECK(taken == bytes_up_to(kSize));
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0] == "cannot store an answer in \"" + folder.path() + "\": cannot write: File too large");
  CHECK(folder.open_files() == 0);
}

}  // namespace prong::worker
