#include "worker/connection.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/escape.hpp"
#include "http/origin.hpp"
#include "http/response.hpp"
#include "net/address.hpp"
#include "os/file.hpp"

namespace prong::worker {
namespace {

// One sendfile() at the most, and what is sent to one client before the others have their turn.
constexpr std::uint64_t kLargestFilePart = 1ULL << 20U;
constexpr std::uint16_t kServiceUnavailable = 503;
constexpr std::uint16_t kGatewayTimeout = 504;
constexpr std::uint64_t kLargestTurn = 2 * kLargestFilePart;
// Files up to this are copied to a peer on this machine.
constexpr std::uint64_t kLargestCopied = 128ULL << 10U;
// Of memory in one call: a few parts of a streamed answer, each with what stands between them.
constexpr std::size_t kMostPieces = 8;

http::Session::Context session_context(const Service& service, std::uint64_t key, const Peer& peer,
                                       http::Observer* observer) {
  http::Session::Context context{.handler = service.handler,
                                 .limits = service.limits,
                                 .observer = observer,
                                 .connection = key,
                                 .peer = net::Endpoint::of(peer.address),
                                 .listener = peer.accepted_from};
  if (service.proxies != nullptr && service.proxies->trusts(context.peer.address)) context.proxies = service.proxies;
  return context;
}

}  // namespace

Connection::Connection(os::UniqueFd socket, std::uint64_t key, const Service& service, const Peer& peer)
    : socket_(std::move(socket)),
      key_(key),
      service_(&service),
      peer_is_local_(net::is_local(peer.address)),
      account_(service.books,
               service.access_log == nullptr ? nullptr : std::make_unique<AnswerLog>(*service.access_log, peer)) {
  if (service.streams == nullptr && service.stream_threads == nullptr)
    conversation_ = &storage_.emplace<http::Session>(session_context(service, key, peer, &account_));
  else if (service.stream_threads != nullptr && service.stream_threads->converses())
    conversation_ = &storage_.emplace<BlockingSession>(*service.stream_threads, service.stream_buffer,
                                                       app::StreamPeer{.connection = key, .address = peer.address});
  else
    conversation_ =
        &storage_.emplace<StreamSession>(StreamSession::Context{.handler = service.streams,
                                                                .threads = service.stream_threads,
                                                                .shown = service.shown,
                                                                .buffer = service.stream_buffer,
                                                                .peer = {.connection = key, .address = peer.address}});
}

Connection::~Connection() {
  account_.note_end(conversation_->output().sent_total());
}

void Connection::begin(std::span<char> buffer) {
  on_readable(buffer);
  // Some speak first.
  if (is_stream()) pump();
}

void Connection::on_readable(std::span<char> buffer) {
  const os::IoResult result = os::receive(socket_.get(), buffer);
  if (result.would_block) return;
  if (result.error != 0) {
    over_ = true;  // reset by the client: nobody is left to answer
    return;
  }
  received_ += result.bytes;
  ipc::add(service_->books.board->counters.received_bytes, result.bytes);
  if (lingering_) {
    over_ = result.end;  // what a client still sends after the last answer is dropped
    return;
  }
  if (AnswerLog* const log = account_.log(); log != nullptr) {
    log->note_read(os::now());
    if (conversation_->phase() == net::Phase::kIdle) log->note_request();
  }
  if (result.end)
    conversation_->receive_end();
  else
    conversation_->receive(buffer.first(result.bytes));
  pump();
}

void Connection::on_news(std::optional<http::Response> answer) {
  if (answer) {
    if (!session().awaits_answer()) return;
    session().answer(*std::move(answer));
  }
  pump();
}

void Connection::on_outcome(app::StreamOutcome outcome) {
  std::get<StreamSession>(storage_).finish_event(std::move(outcome));
  pump();
}

void Connection::wake() {
  if (auto* const stream = std::get_if<StreamSession>(&storage_); stream != nullptr) stream->wake();
  pump();
}

void Connection::on_hangup(std::uint32_t events) {
  const bool was_reset = (events & EPOLLERR) != 0;  // which has thrown away what the client had sent
  if (is_stream() && (conversation_->is_with_application() || (is_paused() && !was_reset)))
    hung_up_ = true;
  else
    over_ = true;
}

// The application wants nothing now of what the client has sent, and may want it again.
bool Connection::is_paused() const {
  const auto* const stream = std::get_if<StreamSession>(&storage_);
  return stream != nullptr && stream->is_paused();
}

std::string Connection::work_text() const {
  if (is_stream()) return "an event of a stream";
  std::string request = session().awaited_request();
  if (request.empty()) request = "a streamed answer";
  return request;
}

void Connection::on_no_thread() {
  if (is_stream()) return break_off();
  on_news(http::error_response(kServiceUnavailable));
}

void Connection::on_overrun() {
  if (is_stream()) return break_off();
  if (!session().awaits_answer()) {
    if (session().is_with_application()) break_off();
    return;
  }
  session().announce_close();
  session().answer(http::error_response(kGatewayTimeout));
  pump();
}

// Sends until the socket is full, the conversation has nothing more to say, or it is the others' turn.
void Connection::pump() {
  const net::Output& output = conversation_->output();
  const std::uint64_t turn_end = output.sent_total() + kLargestTurn;
  while (!over_) {
    if (conversation_->broken()) return break_off();
    while (!output.empty())
      if (output.sent_total() >= turn_end || !send_some()) return;
    account_.note_sent(output.sent_total());
    if (conversation_->finished()) return finish();
    conversation_->resume();
    if (output.empty() && !conversation_->finished() && !conversation_->broken()) return;
  }
}

// With a reset, because the end of the connection may be what ends the answer's body.
void Connection::break_off() {
  os::reset_on_close(socket_.get());
  over_ = true;
}

// False when the socket takes no more now, or is broken.
bool Connection::send_some() {
  net::Output& output = conversation_->output();
  const net::FileBody* const file = output.front_is_file() ? &output.file() : output.file_behind_memory();
  os::IoResult result;
  if (file != nullptr && peer_is_local_ && file->size <= kLargestCopied && !service_->file_buffer.empty())
    result = send_copied(*file);
  else
    result = output.front_is_file() ? send_from_file() : send_memory();
  // What was promised cannot be kept, and only a cut connection tells the client so.
  if (file != nullptr && (result.end || result.error != 0)) note_trouble(*file, result);
  if (result.error != 0 || result.end) over_ = true;
  if (over_ || result.would_block) return false;
  output.consume(result.bytes);
  ipc::add(service_->books.board->counters.sent_bytes, result.bytes);
  return true;
}

// Whether it is the file's fault, which sendfile(2) does not tell, that its client is cut.
void Connection::note_trouble(const net::FileBody& file, const os::IoResult& result) {
  const std::string path = escaped(os::file_path(file.file->get()).value_or("?"));
  std::array<char, 1> probe{};
  if (result.end)
    file_trouble_ = path + " became shorter while it was sent";
  else if (const auto read = os::read_at(file.file->get(), file.offset, probe); !read)
    file_trouble_ = fmt::format("{} could not be sent to its end: {}", path, read.error().text());
}

os::IoResult Connection::send_memory() {
  const net::Output& output = conversation_->output();
  std::array<std::string_view, kMostPieces> pieces;
  std::array<iovec, kMostPieces> parts{};
  const std::size_t number = output.memory_pieces(pieces);
  for (std::size_t i = 0; i < number; ++i)
    parts.at(i) = {.iov_base = const_cast<char*>(pieces.at(i).data()), .iov_len = pieces.at(i).size()};
  return os::send(socket_.get(), std::span(parts).first(number),
                  output.segments_waiting() > number ? os::More::kYes : os::More::kNo);
}

os::IoResult Connection::send_from_file() {
  const net::FileBody& file = conversation_->output().file();
  const auto part = static_cast<std::size_t>(std::min(file.size, kLargestFilePart));
  return os::send_file(socket_.get(), file.file->get(), file.offset, part);
}

// A file that is not large leaves together with its head, in one call less: to a peer on this machine, where
// sendfile(2) does not save a copy to a network card. (Measured over loopback, docs/performance.md: 100 KiB cost a
// tenth less that way, and 10 MiB twice as much.) What the socket does not take is read again, from the page cache.
os::IoResult Connection::send_copied(const net::FileBody& file) {
  const net::Output& output = conversation_->output();
  const std::string_view head = output.front_is_file() ? std::string_view() : output.memory();
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(file.size, service_->file_buffer.size()));
  const auto read = os::read_at(file.file->get(), file.offset, service_->file_buffer.first(size));
  if (!read) return {.error = EIO};
  if (*read < size) return {.end = true};
  const std::array parts{iovec{.iov_base = const_cast<char*>(head.data()), .iov_len = head.size()},
                         iovec{.iov_base = service_->file_buffer.data(), .iov_len = size}};
  return os::send(socket_.get(), std::span(parts).subspan(head.empty() ? 1 : 0),
                  size < file.size ? os::More::kYes : os::More::kNo);
}

void Connection::finish() {
  if (!conversation_->lingering()) {
    over_ = true;
    return;
  }
  // Closing with bytes of the client unread would reset the connection and take the answer with it (RFC 9112, 9.6).
  os::shut_down_sending(socket_.get());
  lingering_ = true;
}

void Connection::on_idle_late(std::span<char> buffer) {
  const std::uint64_t before = received_;
  if (wants_read()) on_readable(buffer);
  if (waiting() != Waiting::kIdle || (is_stream() && received_ != before)) return;
  on_late();
}

void Connection::on_late() {
  switch (waiting()) {
    case Waiting::kBody:
      if (received_ - round_start_ >= service_->body_quota) return;
      [[fallthrough]];
    case Waiting::kRequest:
      conversation_->request_timed_out();
      return pump();
    case Waiting::kSending:
      over_ = taken_by_client() - round_start_ < service_->send_quota;
      return;
    case Waiting::kHandling:
      return;
    case Waiting::kIdle:
    case Waiting::kLingering:
    case Waiting::kNothing:
      over_ = true;
      return;
  }
}

void Connection::begin_round() {
  round_start_ = waiting() == Waiting::kSending ? taken_by_client() : received_;
}

// What has been sent may still wait in the socket's buffer, for minutes with a slow client: only what has left it
// counts. After a failure of the question all of it does.
std::uint64_t Connection::taken_by_client() const {
  const std::uint64_t sent = conversation_->output().sent_total();
  return sent - std::min<std::uint64_t>(sent, os::unsent_bytes(socket_.get()).value_or(0));
}

Waiting Connection::waiting() const {
  if (over_) return Waiting::kNothing;
  if (lingering_) return Waiting::kLingering;
  switch (conversation_->phase()) {
    case net::Phase::kIdle:
      return Waiting::kIdle;
    case net::Phase::kHeader:
      return Waiting::kRequest;
    case net::Phase::kBody:
      return Waiting::kBody;
    case net::Phase::kHandling:
      return Waiting::kHandling;
    case net::Phase::kSending:
      return Waiting::kSending;
    case net::Phase::kClosed:
      break;
  }
  return Waiting::kNothing;
}

void Connection::update_interest(os::Epoll& epoll) {
  if (over_) return;
  if (hung_up_ && !wants_read()) {
    // All that it has sent has been read, and nothing more can be said to it.
    if (!is_paused() && !conversation_->is_with_application()) {
      over_ = true;
      return;
    }
    // The kernel would tell of the hang-up again and again.
    if (std::exchange(is_watched_, false)) epoll.remove(socket_.get());
    return;
  }
  std::uint32_t wanted = 0;
  if (wants_read()) wanted |= EPOLLIN;
  if (!conversation_->output().empty()) wanted |= EPOLLOUT;
  if (is_watched_ && wanted == watched_) return;
  // While an application thread has a request, nearly no client sends more: it costs less to hear of those that do.
  if (is_watched_ && wanted == 0 && watched_ == EPOLLIN && !has_early_input_) return;
  has_early_input_ = false;
  auto changed = is_watched_ ? epoll.modify(socket_.get(), wanted, key_) : epoll.add(socket_.get(), wanted, key_);
  if (!changed) over_ = true;  // out of kernel memory: this one client loses, the others go on
  is_watched_ = true;
  watched_ = wanted;
}

}  // namespace prong::worker
