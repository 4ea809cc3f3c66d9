// One client's connection: moves bytes between a socket and a conversation, and tells which timer it waits on. It never
// blocks and never decides when to be destroyed: it says so, and the worker does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>

#include "http/session.hpp"
#include "net/conversation.hpp"
#include "os/epoll.hpp"
#include "os/socket.hpp"
#include "os/unique_fd.hpp"
#include "worker/blocking_session.hpp"
#include "worker/deadline_list.hpp"
#include "worker/request_account.hpp"
#include "worker/shown_call.hpp"
#include "worker/stream_session.hpp"

namespace prong::worker {

// What a connection waits for, hence which deadline holds.
enum class Waiting : std::uint8_t {
  kIdle,       // the next request
  kRequest,    // the rest of a request's head
  kBody,       // the rest of a request's body
  kHandling,   // the application
  kSending,    // the client to take more of the answer
  kLingering,  // the client to close, after the last answer
  kNothing,    // it is over: destroy it
};

// What all connections of a worker share. Borrowed; outlives them.
struct Service {
  http::Handler* handler = nullptr;  // nullptr: the pool speaks no HTTP
  // What a pool of streams runs: its application here, or on threads; nullptr both in a pool that speaks HTTP.
  app::StreamHandler* streams = nullptr;
  ApplicationThreads* stream_threads = nullptr;
  std::size_t stream_buffer = 1;  // of one stream, bytes that may wait to be sent before reading stops
  const http::Limits* limits = nullptr;
  log::AccessLog* access_log = nullptr;       // nullptr: the pool has none
  const http::ProxyTrust* proxies = nullptr;  // nullptr: no peer is trusted
  Books books = {};
  ShownCalls* shown = nullptr;  // where calls of the application are shown; nullptr: it does not run here
  // How many bytes a client has to send of a body, and to take of an answer, while one deadline runs. At least 1.
  std::uint64_t body_quota = 1;
  std::uint64_t send_quota = 1;
  // For files that are sent from memory; see Connection::send_copied().
  std::span<char> file_buffer = {};
};

class Connection : public Waiter {
 public:
  // `key` is its key in the epoll set, to which it adds itself when it has to wait.
  Connection(os::UniqueFd socket, std::uint64_t key, const Service& service, const Peer& peer);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // Tells its account of answers that have been cut.
  ~Connection();

  // It has just been accepted: takes what has arrived. Uses `buffer` as on_readable() does.
  void begin(std::span<char> buffer);
  // The socket is readable, or may be. Uses `buffer` for the time of the call.
  void on_readable(std::span<char> buffer);
  // The socket takes bytes again, or the application has more of an answer.
  void on_writable() { pump(); }
  // The application's answer, to what it said Later; or, without, that there is more of a body that it makes. News of a
  // request that has ended meanwhile changes nothing.
  void on_news(std::optional<http::Response> answer);
  // What came of a stream's event.
  void on_outcome(app::StreamOutcome outcome);
  // The application takes too long: 504, the last answer, or the end of an answer that has begun. A stream is cut.
  void on_overrun();
  // The application has something to send that nothing on this connection has asked for.
  void wake();
  // Ends it with a reset.
  void cut() { break_off(); }
  // The application will never come to what it has been asked: 503. A stream is cut.
  void on_no_thread();
  // There is input, which waits until wants_read() again.
  void note_early_input() { has_early_input_ = true; }
  // Neither side can send any more, by EPOLLERR or EPOLLHUP. What a stream's client has sent is still read, once the
  // application is free for it, or wants it.
  void on_hangup(std::uint32_t events);
  // It has been idle for too long. What has arrived by now is still served; a stream that moves again may go on.
  void on_idle_late(std::span<char> buffer);
  // The deadline of what it waited for has passed. It may go on waiting, for another round of the same time.
  void on_late();
  // A deadline begins to run: what moves from now on counts for it.
  void begin_round();
  // Drain: its next answer is its last.
  void announce_close() { conversation_->announce_close(); }

  [[nodiscard]] Waiting waiting() const;
  // Whether it would read now.
  [[nodiscard]] bool wants_read() const { return lingering_ || conversation_->wants_read(); }
  // Makes the epoll set fit to what it waits for. On failure the connection is over.
  void update_interest(os::Epoll& epoll);

  // Requests answered since the last call (net::Conversation::answered()).
  [[nodiscard]] std::uint64_t take_answered() {
    return conversation_->answered() - std::exchange(counted_, conversation_->answered());
  }
  // What the application works on, for the log: "GET /path", "a streamed answer", "an event of a stream".
  [[nodiscard]] std::string work_text() const;
  // Whether it speaks no HTTP.
  [[nodiscard]] bool is_stream() const { return !std::holds_alternative<http::Session>(storage_); }
  [[nodiscard]] net::Conversation& conversation() { return *conversation_; }
  // Why a file could not be sent to its end, with its path, or empty; then forgets it.
  [[nodiscard]] std::string take_file_trouble() { return std::exchange(file_trouble_, {}); }
  // The same, of a pool that speaks HTTP.
  [[nodiscard]] http::Session& session() { return std::get<http::Session>(storage_); }
  [[nodiscard]] const http::Session& session() const { return std::get<http::Session>(storage_); }
  [[nodiscard]] std::uint64_t key() const { return key_; }
  // Which list it was put in last; kept here by the worker.
  Waiting listed_as = Waiting::kNothing;
  os::TimePoint listed_since = {};

 private:
  void pump();
  [[nodiscard]] bool send_some();
  [[nodiscard]] os::IoResult send_memory();
  [[nodiscard]] os::IoResult send_from_file();
  [[nodiscard]] os::IoResult send_copied(const net::FileBody& file);
  void note_trouble(const net::FileBody& file, const os::IoResult& result);
  [[nodiscard]] bool is_paused() const;
  void finish();
  void break_off();
  [[nodiscard]] std::uint64_t taken_by_client() const;

  os::UniqueFd socket_;
  std::uint64_t key_;
  const Service* service_;
  std::uint32_t watched_ = 0;  // events in the epoll set
  bool is_watched_ = false;    // whether it is in the epoll set
  bool has_early_input_ = false;
  bool peer_is_local_;
  bool lingering_ = false;
  bool over_ = false;
  bool hung_up_ = false;
  std::string file_trouble_ = {};
  std::uint64_t received_ = 0;     // bytes
  std::uint64_t round_start_ = 0;  // of received_ or of what the client took, when the deadline began to run
  std::uint64_t counted_ = 0;      // of answered()
  RequestAccount account_;         // before the conversation, which tells it
  // In place, because a new connection is to cost no allocation more than it must.
  std::variant<std::monostate, http::Session, StreamSession, BlockingSession> storage_;
  net::Conversation* conversation_ = nullptr;  // in storage_
};

}  // namespace prong::worker
