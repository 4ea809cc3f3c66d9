#include "worker/request_account.hpp"

#include <algorithm>
#include <utility>

namespace prong::worker {

void RequestAccount::request_begins() {
  ipc::add(books_.board->counters.begun, 1);
  began_ = *books_.clock;
}

void RequestAccount::answer_begins(const http::Request& request, const http::Response& response, std::uint64_t begin,
                                   std::uint64_t body_begin) {
  if (last_) earlier_.push_back(*last_);
  last_ = Entry{.began = std::exchange(began_, std::nullopt), .status = response.status};
  if (log_) log_->answer_begins(request, response, begin, body_begin);
}

void RequestAccount::answer_ends(std::uint64_t end) {
  if (last_) last_->end = end;
  if (log_) log_->answer_ends(end);
}

void RequestAccount::note_sent(std::uint64_t sent) {
  const bool is_over = !earlier_.empty() ? earlier_.front().end <= sent : last_ && last_->end <= sent;
  if (!is_over) return;
  const os::TimePoint now = os::now();
  *books_.clock = now;
  if (!earlier_.empty()) {
    const auto unfinished = std::ranges::find_if(earlier_, [sent](const Entry& entry) { return entry.end > sent; });
    for (auto entry = earlier_.begin(); entry != unfinished; ++entry) finish(*entry, now);
    earlier_.erase(earlier_.begin(), unfinished);
  }
  if (last_ && last_->end <= sent) {
    finish(*last_, now);
    last_.reset();
    std::vector<Entry>().swap(earlier_);
  }
  if (log_) log_->note_sent(sent, now);
}

void RequestAccount::note_end(std::uint64_t sent) {
  note_sent(sent);
  for (const Entry& entry : earlier_) cut(entry);
  if (last_) cut(*last_);
  if (began_) cut({.began = began_});
  if (log_) log_->note_end(sent, os::now());
}

void RequestAccount::finish(const Entry& entry, os::TimePoint now) const {
  ipc::WorkerCounters& counters = books_.board->counters;
  ipc::add(entry.began ? counters.requests : counters.refused, 1);
  counters.count_status(entry.status);
  if (entry.began) books_.board->service_time.add(now - *entry.began);
}

void RequestAccount::cut(const Entry& entry) const {
  if (!entry.began) return;
  ipc::add(books_.board->counters.requests, 1);
  ipc::add(books_.board->counters.cut, 1);
}

}  // namespace prong::worker
