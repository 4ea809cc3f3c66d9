#include "worker/answer_log.hpp"

#include <algorithm>
#include <utility>

#include "http/origin.hpp"
#include "net/address.hpp"
#include "net/ip_address.hpp"

namespace prong::worker {
namespace {

// The room for entries stays with an idle connection up to this many; pipelined requests can need a hundred times that.
constexpr std::size_t kMostEntriesKept = 4;

}  // namespace

AnswerLog::AnswerLog(log::AccessLog& log, const Peer& peer)
    : log_(&log),
      peer_(net::host_text(peer.address)),
      peer_port_(net::port_of(peer.address)),
      listener_(peer.listener),
      connection_(peer.number) {
  if (peer.queue_time) queue_us_ = static_cast<std::uint64_t>(peer.queue_time->count());
}

void AnswerLog::note_read(os::TimePoint now) {
  read_ = {.time = now, .date = std::chrono::system_clock::now()};
}

void AnswerLog::note_request() {
  started_ = read_;
}

void AnswerLog::answer_begins(const http::Request& request, const http::Response& response, std::uint64_t begin,
                              std::uint64_t body_begin) {
  const bool was_read = !request.target.empty();
  const http::Origin origin = http::origin_of(request);
  const bool is_peer = origin.client == request.peer;
  const std::string believed = is_peer ? std::string() : net::to_text(origin.client.address);
  entries_.push_back(
      {.line = log_->begin({.client = is_peer ? std::string_view(peer_) : believed,
                            .client_port = is_peer ? peer_port_ : origin.client.port,
                            .peer = peer_,
                            .peer_port = peer_port_,
                            .scheme = http::to_text(origin.scheme),
                            .listener = listener_,
                            .method = was_read ? request.method : std::string_view(),
                            .target = request.target,
                            .path = request.path,
                            .query = request.query,
                            .protocol_minor = was_read ? std::optional(request.version_minor) : std::nullopt,
                            .host = origin.host,
                            .status = response.status,
                            .connection = connection_,
                            .request_number = ++requests_,
                            .time = started_.date,
                            .request_headers = log::HeaderLookup::of(request.headers),
                            .response_headers = log::HeaderLookup::of(response.headers)}),
       .begin = begin,
       .body_begin = body_begin,
       .started = started_.time});
  // The next request may have begun in the same bytes.
  note_request();
}

void AnswerLog::answer_ends(std::uint64_t end) {
  entries_.back().end = end;
}

void AnswerLog::note_sent(std::uint64_t sent, os::TimePoint now) {
  auto first_unfinished =
      std::ranges::find_if(entries_, [sent](const Entry& entry) { return !entry.end || *entry.end > sent; });
  for (auto entry = entries_.begin(); entry != first_unfinished; ++entry)
    finish(*entry, entry->end.value_or(sent), log::Completeness::kWhole, now);
  entries_.erase(entries_.begin(), first_unfinished);
  if (entries_.empty() && entries_.capacity() > kMostEntriesKept) entries_.shrink_to_fit();
}

void AnswerLog::note_end(std::uint64_t sent, os::TimePoint now) {
  note_sent(sent, now);
  for (Entry& entry : entries_) finish(entry, sent, log::Completeness::kCut, now);
  entries_.clear();
}

void AnswerLog::finish(Entry& entry, std::uint64_t end, log::Completeness completeness, os::TimePoint now) {
  const auto served = std::chrono::duration_cast<std::chrono::microseconds>(now - entry.started);
  log_->finish(std::move(entry.line),
               {.body_bytes = end - std::min(end, entry.body_begin),
                .bytes = end - std::min(end, entry.begin),
                .service_us = static_cast<std::uint64_t>(std::max<std::int64_t>(0, served.count())),
                .queue_us = queue_us_,
                .completeness = completeness},
               now);
  // A later request of this connection did not wait to be accepted.
  queue_us_ = 0;
}

}  // namespace prong::worker
