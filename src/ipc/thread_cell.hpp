// What one application thread of a worker is doing: written by that thread at every call of the application, read by
// the master at any time, also when the worker is dead.
//
// A seqlock: the writer makes the sequence number odd, writes, makes it even again, and never waits. A reader that
// finds it odd, or changed, has read nothing. The reader takes every byte as untrusted: a worker that has gone wild may
// have written anything.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/enum_text.hpp"
#include "ipc/counter.hpp"
#include "os/clock.hpp"

namespace prong::ipc {

enum class ThreadPhase : std::uint8_t {
  kIdle,     // no application code runs on it
  kRequest,  // in the application, which makes the answer of a request
  kBody,     // the same, and it makes a body that is streamed
  kStream,   // in the application, at an event of a stream
  kOwn,      // in the application, which does something of its own: a timer, a descriptor of it
};
inline constexpr EnumText<ThreadPhase, 5> kThreadPhaseText{{{{ThreadPhase::kIdle, "idle"},
                                                             {ThreadPhase::kRequest, "request"},
                                                             {ThreadPhase::kBody, "body"},
                                                             {ThreadPhase::kStream, "stream"},
                                                             {ThreadPhase::kOwn, "own"}}}};

// Who is at the other end of a connection. Plain bytes: this room knows no types of net/.
struct PeerBytes {
  enum class Family : std::uint8_t { kNone, kV4, kV6 };  // kNone: a UNIX socket, or not known
  Family family = Family::kNone;
  std::array<std::uint8_t, 16> address{};  // in the order of the network; of IPv4 the first four
  std::uint16_t port = 0;
};

// A call of the application.
struct Call {
  ThreadPhase phase = ThreadPhase::kRequest;
  std::uint64_t number = 0;  // of the worker's calls, from 1
  os::TimePoint since = {};
  std::optional<os::TimePoint> deadline = {};  // when the worker takes it for stuck; nothing: never
  std::string_view method = {};                // as the client sent it; of a stream empty
  std::string_view target = {};
  PeerBytes peer = {};
};

// What a reader makes of a cell.
struct ThreadReading {
  ThreadPhase phase = ThreadPhase::kIdle;
  std::uint64_t number = 0;  // of the call; of an idle thread: of its last one, 0 before the first
  os::TimePoint since = {};  // not after the reader's now; of a thread that has never had a call: the clock's begin
  std::optional<os::TimePoint> deadline = {};
  // Escaped (base/escape.hpp): safe to print. A target that is longer than the cell ends in "...". Empty when idle.
  std::string method = {};
  std::string target = {};
  std::string peer = {};  // "192.0.2.7:4711", "[2001:db8::7]:4711"; empty: a UNIX socket, or not known

  // "GET /checkout", "an event of a stream"; of an idle thread empty.
  [[nodiscard]] std::string work() const;
};

// Lives in shared memory: no pointers, and zero bytes are its valid initial state, an idle thread.
class alignas(64) ThreadCell {
 public:
  static constexpr std::size_t kMostMethod = 24;
  static constexpr std::size_t kMostText = 192;  // of method and target together

  // Of the thread itself.
  void begin(const Call& call);
  // The same call goes on, with another kind of work.
  void change(ThreadPhase phase);
  void end(os::TimePoint now);

  // Of any process. Nothing: it was being written whenever this looked, or holds what no thread writes.
  [[nodiscard]] std::optional<ThreadReading> read(os::TimePoint now) const;

 private:
  // What is not text and not time, in one word each.
  struct Shape {
    ThreadPhase phase = ThreadPhase::kIdle;
    PeerBytes::Family family = PeerBytes::Family::kNone;
    std::uint16_t port = 0;
    std::uint8_t method_size = 0;  // as it stands in text_
    std::uint8_t target_size = 0;  // the same, right behind it
    bool cut = false;              // the target, or the method, was longer
  };
  static constexpr std::size_t kWord = sizeof(std::uint64_t);
  static constexpr std::size_t kWords = kMostText / kWord;
  struct Copy {
    std::uint64_t shape, since, deadline, number;
    std::array<std::uint64_t, 2> peer;
    std::array<std::uint64_t, kWords> text;
  };
  [[nodiscard]] static std::uint64_t pack(const Shape& shape);
  [[nodiscard]] static std::optional<Shape> unpack(std::uint64_t word);
  [[nodiscard]] static std::optional<ThreadReading> understand(const Copy& copy, os::TimePoint now);
  void store_text(std::string_view method, std::string_view target);
  void open();
  void close();
  [[nodiscard]] std::optional<Copy> copy() const;

  Counter sequence_;
  Counter shape_;
  Counter since_;     // nanoseconds of os::Clock
  Counter deadline_;  // the same; 0: none
  Counter number_;
  std::array<Counter, 2> peer_;
  Counter unused_;
  std::array<Counter, kWords> text_;
};
static_assert(sizeof(ThreadCell) == 256, "four cache lines");

}  // namespace prong::ipc
