// What a conversation has to say and the connection has not sent yet: bytes in memory and parts of files, in order.
//
// The connection's side of it, for a socket that does not block:
//   while (!output.empty()) {
//     if (output.front_is_file()) n = sendfile(socket, output.file().file.get(), &offset, output.file().size);
//     else                        n = send(socket, output.memory(), output.more_follows() ? MSG_MORE : 0);
//     if (n would block) break;
//     output.consume(n);
//   }
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "os/unique_fd.hpp"

namespace prong::net {

// A part of a file, sent by sendfile(2). The file is closed when nobody needs it any more: it may be in a cache, or
// serve several parts. (What a cache and many clients hold at once has several owners by nature.)
struct FileBody {
  std::shared_ptr<const os::UniqueFd> file = {};
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

// Bytes in memory that several answers may share, kept by their owner until the last of them is gone.
struct SharedText {
  std::shared_ptr<const void> owner = {};
  std::string_view text = {};
};

// Texts that are lent are copied up to this size; see append().
inline constexpr std::size_t kMostBorrowedAndCopied = std::size_t{16} << 10U;

class Output {
 public:
  [[nodiscard]] bool empty() const { return front_ == segments_.size(); }
  // All bytes that are waiting, those of files included.
  [[nodiscard]] std::uint64_t size() const;
  // Whether a file is waiting anywhere in it.
  [[nodiscard]] bool holds_file() const;

  // What to send next. Not to be asked when empty().
  [[nodiscard]] bool front_is_file() const { return segments_[front_].is_file; }
  // The bytes to send next (more than 0); lives until the next call that is not const. Not for a file.
  [[nodiscard]] std::string_view memory() const;
  // The file to send next: `size` bytes (more than 0) from `offset`. Borrowed: still owned here.
  [[nodiscard]] const FileBody& file() const { return segments_[front_].file; }
  // The file right behind memory(), or nullptr: both may be sent together. Not for a file in front.
  [[nodiscard]] const FileBody* file_behind_memory() const {
    return more_follows() && segments_[front_ + 1].is_file ? &segments_[front_ + 1].file : nullptr;
  }
  // memory() and the pieces right behind it, up to the next file, that may be sent together: as many as fit. How many
  // those are. Not for a file in front.
  [[nodiscard]] std::size_t memory_pieces(std::span<std::string_view> into) const;
  // How many pieces of memory and files wait.
  [[nodiscard]] std::size_t segments_waiting() const { return segments_.size() - front_; }
  // Whether more comes after memory(), so that the kernel should hold back a packet that is not full (MSG_MORE).
  [[nodiscard]] bool more_follows() const { return segments_waiting() > 1; }

  // The first `size` bytes of what is next have been sent: at most memory().size() or file().size; with
  // file_behind_memory() or memory_pieces() at most the sum of all.
  void consume(std::uint64_t size);

  // Bytes that have been sent, and those together with what waits: places in the stream of all answers.
  [[nodiscard]] std::uint64_t sent_total() const { return sent_total_; }
  [[nodiscard]] std::uint64_t end_of_stream() const { return sent_total_ + size(); }

  // The conversation's side. The text that is last, to be appended to; not to be left empty.
  [[nodiscard]] std::string& text();
  // Appends; a large text is taken over, a small one copied. Empty ones leave no trace.
  void append(std::string&& text);
  // A small text is copied, a large one borrowed until it has been sent.
  void append(std::string_view text);
  // A small text is copied, a large one shared until it has been sent.
  void append(SharedText text);
  void append(FileBody&& file);
  // Everything of another one, of which nothing has been sent.
  void append(Output&& other);

 private:
  struct Segment {
    std::string text = {};
    std::string_view borrowed = {};          // in place of text
    std::shared_ptr<const void> owner = {};  // of what is borrowed, if it is shared
    FileBody file = {};
    bool is_file = false;

    [[nodiscard]] std::string_view memory() const { return borrowed.empty() ? std::string_view(text) : borrowed; }
  };
  void pop();

  std::vector<Segment> segments_ = {};
  std::size_t front_ = 0;  // of segments_: what is before it has been sent
  std::size_t sent_ = 0;   // of the front segment's text
  std::uint64_t sent_total_ = 0;
};

}  // namespace prong::net
