// The part of the I/O thread that follows what its connections do: counts, deadlines, answers from application threads,
// and requests that take too long.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/escape.hpp"
#include "log/log.hpp"
#include "worker/event_loop.hpp"

namespace prong::worker {
namespace {

// Of a request in a line of the log.
constexpr std::size_t kMostRequestText = 200;
// What an application says of its failure, with the request.
constexpr std::size_t kMostFailure = 1'500;

}  // namespace

// Answers, and more of answers, from the application threads.
void EventLoop::read_news() {
  for (ApplicationThreads::News& news : application_.threads->take_news()) {
    if (news.is_last) watch_.note_done(news.connection);
    if (!news.failure.empty()) complain_of_failure(news.failure);
    if (!news.warning.empty()) {
      complain_of_spool(news.warning);
      continue;
    }
    Connection* const connection = connections_.find(news.connection);
    if (news.outcome) {
      take_outcome(connection, *std::move(news.outcome));
      continue;
    }
    if (connection == nullptr) continue;
    // One connection at a time: kept only while nobody waits for its place.
    if (news.answer && pool_->concurrency == config::Concurrency::kProcess && acceptor_.somebody_waits())
      connection->announce_close();
    connection->on_news(std::move(news.answer));
    begin_piece(*connection);
    settle(*connection);
  }
}

// In `event` its descriptors and what was posted; elsewhere an application thread sees to that.
void EventLoop::hear_module() const {
  app::module::Runtime& module = *application_.module;
  if (application_.threads != nullptr) {
    if (module.hear_posted()) application_.threads->want_housekeeping();
    return;
  }
  const ShownCall shown{service_.shown, {.phase = ipc::ThreadPhase::kOwn}};
  module.run_ready();
}

// Its timers, and what its callbacks have done for other connections than they were about. One round of the latter in a
// turn, so that connections which wake each other leave time for the rest.
void EventLoop::keep_module() {
  app::module::Runtime& module = *application_.module;
  if (application_.threads != nullptr) {
    // Asked once for each time that is due: until a thread is free, there is nothing to be done here.
    if (!module.has_due(now_) || module.next_due() == module_due_) return;
    module_due_ = module.next_due();
    return application_.threads->want_housekeeping();
  }
  if (module.has_due(now_)) {
    const ShownCall shown{service_.shown, {.phase = ipc::ThreadPhase::kOwn}};
    module.run_due(now_);
  }
  if (!module.has_news()) return;
  for (app::module::Runtime::News& news : module.take_news()) take_module_news(std::move(news));
}

void EventLoop::take_module_news(app::module::Runtime::News news) {
  Connection* const connection = connections_.find(news.connection);
  if (connection == nullptr) return;
  if (news.answer) {
    const std::string request = connection->session().awaited_request();
    const std::size_t space = request.find(' ');
    if (space != std::string::npos)
      show_body(*news.answer, *service_.shown,
                {.method = std::string_view(request).substr(0, space),
                 .target = std::string_view(request).substr(space + 1)});
  }
  if (news.cut)
    connection->cut();
  else if (news.answer)
    connection->on_news(std::move(news.answer));
  else
    connection->wake();
  if (!connection->is_stream()) begin_piece(*connection);
  settle(*connection);
}

// Each piece of an answer that is waited for has its own time, and so has each event of a stream. What the client has
// to take goes on in the rounds that have begun, else one that takes nothing would stay for as long as there are
// pieces.
void EventLoop::begin_piece(Connection& connection) {
  if (connection.listed_as == Waiting::kHandling) connection.stop_waiting();
}

// Of an event of a stream, whose connection may have gone meanwhile: nullptr.
void EventLoop::take_outcome(Connection* connection, app::StreamOutcome outcome) {
  if (connection == nullptr) {
    if (!outcome.verdict.failure.empty()) complain_of_failure(outcome.verdict.failure);
    return application_.threads->close(std::move(outcome.stream));
  }
  connection->on_outcome(std::move(outcome));
  begin_piece(*connection);
  settle(*connection);
}

// After anything that a connection did: counts, timers, epoll, or its end.
void EventLoop::settle(Connection& connection) {
  const std::uint64_t answered = connection.take_answered();
  if (answered > 0) has_served_ = true;
  // As in read_news(), for what needed no application thread: the next answer is the connection's last.
  if (answered > 0 && pool_->concurrency == config::Concurrency::kProcess && !pool_->static_map.empty() &&
      acceptor_.somebody_waits())
    connection.announce_close();
  if (const std::string failure = connection.conversation().take_failure(); !failure.empty())
    complain_of_failure(failure);
  if (const std::string trouble = connection.take_file_trouble(); !trouble.empty()) complain_of_file(trouble);
  connection.update_interest(epoll_);
  const Waiting waiting = connection.waiting();
  if (waiting == Waiting::kNothing) return remove(connection);
  // Each deadline runs from the start of what is waited for. After an answer it is the next request that is waited for,
  // even if its first bytes came with the end of the last one, so that it has the whole time. Only the rounds of
  // sending go on over several answers: what the client has to take does not depend on how it is cut into answers.
  const bool next_request = answered > 0 && waiting != Waiting::kSending;
  if (waiting == connection.listed_as && !next_request && connection.is_waiting()) return;
  connection.listed_as = waiting;
  connection.listed_since = now_;
  DeadlineList* const list = list_of(waiting);
  if (list == nullptr) return connection.stop_waiting();
  connection.begin_round();
  list->start(connection, now_);
}

void EventLoop::remove(Connection& connection) {
  const std::uint64_t key = connection.key();
  std::optional<std::string> work_left;
  if (application_.threads != nullptr && connection.conversation().is_with_application())
    work_left = connection.work_text();
  // First, so that what the end of the request ends in the module finds nobody who waits.
  if (application_.module != nullptr && application_.threads == nullptr) {
    const ShownCall shown{service_.shown, {.phase = ipc::ThreadPhase::kOwn}};
    application_.module->forget(key);
  }
  connections_.remove(connection);
  board_->counters.open_connections.store(connections_.size(), std::memory_order_relaxed);
  // Nobody waits for the answer: what has not begun is left out, what has begun is watched to its end.
  if (work_left && application_.threads->cancel(key) == ApplicationThreads::Cancelled::kRunning)
    watch_.note_left(key, *std::move(work_left), now_);
}

DeadlineList* EventLoop::list_of(Waiting waiting) {
  switch (waiting) {
    case Waiting::kIdle:
      return has_idle_timeout_ ? &idle_ : nullptr;
    case Waiting::kRequest:
      return &request_;
    case Waiting::kBody:
      return &body_;
    case Waiting::kSending:
      return &sending_;
    case Waiting::kLingering:
      return &lingering_;
    case Waiting::kHandling:
      return pool_->request_timeout > Duration::zero() ? &handling_ : nullptr;
    case Waiting::kNothing:
      break;
  }
  return nullptr;
}

void EventLoop::handle_late() {
  while (const auto late = watch_.take_late(now_))
    replace_me(fmt::format("{}, whose client had left, overran request_timeout = {}",
                           escaped(*late, kMostRequestText, Quotes::kKeep), to_text(pool_->request_timeout)));
  for (DeadlineList* list : lists()) {
    while (Waiter* waiter = list->take_late(now_)) {
      // Only connections are put into these lists, and a Waiter has no virtual function to ask.
      auto& connection = static_cast<Connection&>(*waiter);  // NOLINT(cppcoreguidelines-pro-type-static-cast-downcast)
      if (list == &handling_) {
        handle_overrun(connection);
        continue;
      }
      if (list == &idle_)
        connection.on_idle_late(buffer_);
      else
        connection.on_late();
      settle(connection);
    }
  }
}

// The client of a request that takes too long gets its answer. If a thread is at it, that thread is not expected back:
// the worker finishes what its other threads have, and the master replaces it.
void EventLoop::handle_overrun(Connection& connection) {
  const std::uint64_t key = connection.key();
  // Code that converses may wait for its client since just now.
  if (connection.waiting() != Waiting::kHandling) return settle(connection);
  if (application_.threads == nullptr) return handle_overdue(connection);
  const auto cancelled = application_.threads->cancel(key);
  if (cancelled == ApplicationThreads::Cancelled::kDone) return;  // its news is on the way
  // One that had to wait for its thread has the whole time from there on.
  const auto since = application_.threads->running_since(key);
  if (since && (connection.is_stream() || connection.session().awaits_answer()) &&
      now_ - *since < pool_->request_timeout)
    return handling_.start(connection, *since);
  const std::string request = connection.work_text();
  if (cancelled == ApplicationThreads::Cancelled::kRunning) watch_.note_overrun(key);
  connection.on_overrun();
  settle(connection);
  if (cancelled == ApplicationThreads::Cancelled::kRunning)
    return replace_me(fmt::format("{} overran request_timeout = {}", escaped(request, kMostRequestText, Quotes::kKeep),
                                  to_text(pool_->request_timeout)));
  log::warn(MessageCode::kRequestWaitedTooLong, "{} waited for a thread for request_timeout = {}; all {} are busy",
            escaped(request, kMostRequestText, Quotes::kKeep), to_text(pool_->request_timeout),
            application_.threads->threads());
}

// In `event`: an answer that was to come later, or more of one that waits, has not come.
void EventLoop::handle_overdue(Connection& connection) {
  // What it has been waiting for has come in this very turn.
  if (application_.module != nullptr && application_.module->has_news_of(connection.key())) return;
  const std::string request = connection.work_text();
  const bool has_begun = !connection.is_stream() && !connection.session().awaits_answer();
  if (application_.module != nullptr) {
    const ShownCall shown{service_.shown, {.phase = ipc::ThreadPhase::kOwn}};
    application_.module->forget(connection.key());
  }
  connection.on_overrun();
  settle(connection);
  if (const auto before = overdue_.count(now_))
    log::warn(MessageCode::kAnswerOverdue, "{} was not {} within request_timeout = {}{}",
              escaped(request, kMostRequestText, Quotes::kKeep), has_begun ? "gone on with" : "answered",
              to_text(pool_->request_timeout), *before);
}

void EventLoop::replace_me(const std::string& reason) {
  log::error(MessageCode::kRequestOverran,
             "{}; its thread is lost, so this worker finishes what it has and is replaced", reason);
  if (!draining_) {
    if (auto said = channel_.send(ipc::Stuck{.reason = reason}); !said)
      log::warn(MessageCode::kMasterNotTold, "drains, and cannot tell the master: {}", said.error().text());
  }
  const bool nobody_is_left = watch_.overrun() >= application_.threads->threads();
  drain({.grace = pool_->graceful_timeout,
         .idle_grace = nobody_is_left ? Duration::zero() : pool_->graceful_timeout,
         .serve_backlog = 0});
  if (nobody_is_left) refuse_what_waits();
}

// No thread will ever come to these.
void EventLoop::refuse_what_waits() {
  std::vector<std::uint64_t> keys;
  connections_.for_each([&](const Connection& connection) { keys.push_back(connection.key()); });
  for (const std::uint64_t key : keys) {
    Connection* const connection = connections_.find(key);
    if (connection == nullptr || !connection->conversation().is_with_application()) continue;
    if (application_.threads->cancel(key) != ApplicationThreads::Cancelled::kWaiting) continue;
    connection->on_no_thread();
    settle(*connection);
  }
}

void EventLoop::complain_of_failure(const std::string& failure) {
  if (const auto before = failures_.count(now_))
    log::error(MessageCode::kApplicationFailed, "{} failed: {}{}", unit_of_work(),
               escaped(failure, kMostFailure, Quotes::kKeep), *before);
}

void EventLoop::complain_of_file(const std::string& trouble) {
  if (const auto before = cut_files_.count(now_))
    log::warn(MessageCode::kFileCutShort, "{}, so its client was cut{}", trouble, *before);
}

void EventLoop::complain_of_spool(const std::string& warning) {
  if (const auto before = spool_warnings_.count(now_))
    log::warn(MessageCode::kAnswerNotSpooled,
              "a streamed answer is not spooled, so its thread waits for the client: {}{}", warning, *before);
}

}  // namespace prong::worker
