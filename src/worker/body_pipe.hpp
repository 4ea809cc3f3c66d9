// A body that an application thread makes and the I/O thread sends. What is made and not yet sent waits in memory, and
// what does not fit there in a file without a name, so that a client that takes it slowly costs disk space and no
// thread. Both are bounded; who makes the body waits while the bound is reached.
//
// The thread cannot serve another request meanwhile instead: code that streams may rely on its thread. The file is
// there only while something is in it: what follows goes to memory again, and the disk has its space back.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "http/handler.hpp"
#include "os/unique_fd.hpp"

namespace prong::worker {

class BodyPipe {
 public:
  // Of one body.
  struct Room {
    std::size_t memory = 0;      // bytes; what is lent may be some times as much and a part
    std::uint64_t spool = 0;     // bytes in the file; 0: there is none, and the thread waits when the memory is full
    std::string directory = {};  // of the file
  };
  explicit BodyPipe(Room room) : room_(std::move(room)) {}

  // What the I/O thread is told. Called on the application thread.
  struct Tell {
    std::function<void()> more;                    // it had found nothing, and there is something to send
    std::function<void(std::string why)> no_file;  // the file cannot be used; at most once for each body
  };

  // On the application thread: takes the source's bytes until it ends or nobody wants them. The text of an exception,
  // or empty.
  [[nodiscard]] std::string fill(http::BodySource& source, const Tell& tell);

  // The same for bytes that come one after the other, from write() to finish(); not together with fill(). False: nobody
  // wants any more.
  [[nodiscard]] bool write(std::string_view bytes, const Tell& tell);
  // kEnd or kFailed.
  void finish(http::BodySource::State state, const Tell& tell);

  // On the I/O thread. What is in the file is read in bounded pieces, as a rule from the page cache; an error is the
  // disk's, and the body cannot go on.
  [[nodiscard]] Result<http::BodySource::State> read(std::string& into, std::size_t most);
  // On the I/O thread: what comes next if it was lent, and read() gives what is behind it.
  [[nodiscard]] http::SharedText lend();
  // The client is gone.
  void abandon();

 private:
  // Made by the source, or lent by it.
  struct Piece {
    std::string text = {};
    http::SharedText lent = {};

    [[nodiscard]] std::string_view bytes() const { return lent.text.empty() ? std::string_view(text) : lent.text; }
  };

  [[nodiscard]] bool keep_lent(http::SharedText& part);
  [[nodiscard]] std::optional<std::size_t> wait_for_room();
  void keep(std::string_view part, const Tell& tell);
  [[nodiscard]] Result<void> store(std::string_view part);
  [[nodiscard]] Result<void> write_to_file(std::string_view part);
  void wait_for_memory(std::string_view part);
  [[nodiscard]] bool publish(http::BodySource::State state);
  void take(std::string& into, std::size_t most);
  void pop(std::size_t size);
  [[nodiscard]] Result<void> read_file(std::string& into, std::size_t most, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] os::UniqueFd take_file_if_done();

  // While the lock is held.
  [[nodiscard]] std::uint64_t unread() const { return written_ - read_; }
  [[nodiscard]] std::size_t memory_left() const;
  void add(std::string_view part);
  [[nodiscard]] std::size_t file_left() const;

  std::mutex mutex_;  // of all that follows; held during no system call
  std::condition_variable has_room_;
  Room room_;  // the application thread sets spool to 0 when the file cannot be used
  // What comes first. Nothing is added while something is in the file.
  std::deque<Piece> waiting_;
  std::size_t waiting_bytes_ = 0;  // of all pieces, without taken_
  std::size_t taken_ = 0;          // of the first piece
  // Nobody changes it while it is written or has something unread, so these two need no lock to use it.
  os::UniqueFd file_;
  std::uint64_t written_ = 0;  // up to where the file is whole
  std::uint64_t read_ = 0;
  bool is_writing_ = false;                                         // the application thread, behind written_
  http::BodySource::State state_ = http::BodySource::State::kWait;  // of what is behind all that
  bool reader_waits_ = true;  // the I/O thread has found nothing, and is to be told
  bool abandoned_ = false;
};

// The I/O thread's end. Its session destroys it when the client is gone or the body has ended.
[[nodiscard]] std::unique_ptr<http::BodySource> make_reader(std::shared_ptr<BodyPipe> pipe,
                                                            std::optional<std::uint64_t> size);

}  // namespace prong::worker
