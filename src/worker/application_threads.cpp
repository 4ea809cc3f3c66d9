#include "worker/application_threads.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <variant>

#include "http/failure.hpp"
#include "http/response.hpp"
#include "worker/shown_call.hpp"

namespace prong::worker {
namespace {

using State = http::BodySource::State;

constexpr std::uint16_t kInternalError = 500;
// What belongs to no connection any more. The keys of connections begin above 32 bits.
constexpr std::uint64_t kNobody = 0;

// What the handler has lent only for the call is copied.
void own(http::Response& response) {
  response.headers.own();
  const auto* const text = std::get_if<std::string_view>(&response.body);
  if (text != nullptr && text->size() <= http::kMostBorrowedAndCopied) response.body = std::string(*text);
}

http::Answer call(http::Handler& handler, const http::Request& request, std::string& failure) {
  try {
    return handler.handle(request);
  } catch (const std::exception& exception) {
    failure = exception.what();
  } catch (...) {
    failure = "an exception that is no std::exception";
  }
  return http::error_response(kInternalError);
}

}  // namespace

Result<std::unique_ptr<ApplicationThreads>> ApplicationThreads::create(
    std::vector<std::unique_ptr<http::Handler>> handlers, BodyPipe::Room room) {
  auto event = os::EventFd::create();
  if (!event) return failure(std::move(event.error()));
  const std::size_t threads = handlers.size();
  return std::unique_ptr<ApplicationThreads>(
      new ApplicationThreads(std::move(handlers), nullptr, threads, std::move(*event), std::move(room)));
}

Result<std::unique_ptr<ApplicationThreads>> ApplicationThreads::create(std::unique_ptr<app::StreamHandler> streams,
                                                                       std::size_t threads) {
  auto event = os::EventFd::create();
  if (!event) return failure(std::move(event.error()));
  return std::unique_ptr<ApplicationThreads>(
      new ApplicationThreads({}, std::move(streams), threads, std::move(*event), {}));
}

http::Answer ApplicationThreads::handle(const http::Request& request) {
  submitted_.push_back(
      {.connection = request.connection, .number = next_number(), .work = http::OwnedRequest(request)});
  busy_.fetch_add(1, std::memory_order_relaxed);
  return http::Later{};
}

void ApplicationThreads::handle(app::StreamEvent event) {
  const std::uint64_t connection = event.peer.connection;
  submitted_.push_back({.connection = connection, .number = next_number(), .work = std::move(event)});
  busy_.fetch_add(1, std::memory_order_relaxed);
}

void ApplicationThreads::converse(std::shared_ptr<StreamPipe> pipe) {
  const std::uint64_t connection = pipe->peer().connection;
  submitted_.push_back({.connection = connection, .number = next_number(), .work = std::move(pipe)});
  busy_.fetch_add(1, std::memory_order_relaxed);
}

void ApplicationThreads::want_housekeeping() {
  {
    const std::lock_guard lock(mutex_);
    housekeeping_wanted_ = true;
  }
  job_arrived_.notify_one();
}

void ApplicationThreads::close(std::unique_ptr<app::Stream> stream) {
  if (stream == nullptr) return;
  handle({.kind = app::StreamEventKind::kClose, .peer = {.connection = kNobody}, .stream = std::move(stream)});
}

// One sleeper is woken; it wakes the next one if there is more than it can take.
void ApplicationThreads::submit() {
  if (submitted_.empty()) return;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    for (Job& job : submitted_) jobs_.push_back(std::move(job));
    wake = claim_sleeper();
  }
  if (wake) job_arrived_.notify_one();
  submitted_.clear();
}

// Whether a thread is to be woken, for jobs that nobody has taken yet.
bool ApplicationThreads::claim_sleeper() {
  if (jobs_.size() <= woken_ || sleeping_ <= woken_) return false;
  ++woken_;
  return true;
}

http::DescriptorNeeds ApplicationThreads::descriptor_needs() const {
  http::DescriptorNeeds needs;
  if (handlers_.empty()) needs.per_answer = 0;
  for (const auto& handler : handlers_) {
    const http::DescriptorNeeds each = handler->descriptor_needs();
    needs.held += each.held;
    needs.per_answer = std::max(needs.per_answer, each.per_answer);
  }
  // An answer that is spooled needs one like others that come from a file; beside it, while a thread is at it, its
  // request may have a stored body.
  if (room_.spool > 0) needs.held += handlers_.size();
  return needs;
}

std::vector<ApplicationThreads::News> ApplicationThreads::take_news() {
  (void)event_.take();  // before the news, so that what comes later is signalled again
  const std::lock_guard lock(mutex_);
  return std::exchange(news_, {});
}

ApplicationThreads::Cancelled ApplicationThreads::cancel(std::uint64_t connection) {
  submit();
  const std::lock_guard lock(mutex_);
  const auto waiting = std::ranges::find(jobs_, connection, &Job::connection);
  if (waiting != jobs_.end()) {
    auto* const event = std::get_if<app::StreamEvent>(&waiting->work);
    if (event != nullptr && event->stream != nullptr) {
      // In its place the application learns that the connection has gone.
      event->kind = app::StreamEventKind::kClose;
      waiting->connection = kNobody;
      return Cancelled::kWaiting;
    }
    jobs_.erase(waiting);
    busy_.fetch_sub(1, std::memory_order_relaxed);
    return Cancelled::kWaiting;
  }
  const bool is_running =
      std::ranges::any_of(working_on_, [&](const auto& work) { return work && work->connection == connection; });
  return is_running ? Cancelled::kRunning : Cancelled::kDone;
}

std::optional<os::TimePoint> ApplicationThreads::running_since(std::uint64_t connection) {
  const std::lock_guard lock(mutex_);
  for (const std::optional<Work>& work : working_on_)
    if (work && work->connection == connection) return work->since;
  return std::nullopt;
}

void ApplicationThreads::finish() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  job_arrived_.notify_all();
}

void ApplicationThreads::run(std::size_t thread) {
  std::optional<Job> job = next_job(thread, std::nullopt);
  while (job) job = next_job(thread, serve(thread, *std::move(job)));
}

// Tells what has become of the last job, and gives the next one; nothing: there will be none.
std::optional<ApplicationThreads::Job> ApplicationThreads::next_job(std::size_t thread, std::optional<News> done) {
  bool signal = false;
  std::unique_lock lock(mutex_);
  if (done) {
    working_on_[thread].reset();
    busy_.fetch_sub(1, std::memory_order_release);
    signal = add_news(*std::move(done));
  }
  // A thread that always has a job keeps its house all the same.
  const bool keeps_house = has_house_to_keep(thread);
  std::optional<Job> job;
  if (!jobs_.empty() && !keeps_house) job = take_job(thread);
  if (signal) {
    lock.unlock();
    event_.signal();
    lock.lock();
  }
  if (keeps_house) keep_house(thread, lock);
  if (!job) job = wait_for_job(thread, lock);
  const bool wake = claim_sleeper();
  lock.unlock();
  if (wake) job_arrived_.notify_one();
  return job;
}

// While there is none, the handler keeps its house.
std::optional<ApplicationThreads::Job> ApplicationThreads::wait_for_job(std::size_t thread,
                                                                        std::unique_lock<std::mutex>& lock) {
  const std::optional<os::TimePoint>& due = housekeeping_due_[thread];
  bool is_kept = false;
  while (true) {
    if (!jobs_.empty()) return take_job(thread);
    // What was wanted is done before the end too.
    if (finished_ ? housekeeping_wanted_ : !is_kept || has_house_to_keep(thread)) {
      keep_house(thread, lock);
      is_kept = true;
      continue;
    }
    if (finished_) return std::nullopt;
    ++sleeping_;
    if (due)
      job_arrived_.wait_until(lock, *due);
    else
      job_arrived_.wait(lock);
    --sleeping_;
    if (woken_ > 0) --woken_;
  }
}

bool ApplicationThreads::has_house_to_keep(std::size_t thread) {
  const std::optional<os::TimePoint>& due = housekeeping_due_[thread];
  return housekeeping_wanted_ || (due && *due <= os::now());
}

void ApplicationThreads::keep_house(std::size_t thread, std::unique_lock<std::mutex>& lock) {
  housekeeping_wanted_ = false;
  const os::TimePoint now = os::now();
  house_since_[thread] = now;
  lock.unlock();
  if (!cells_.empty()) cells_[thread].begin({.phase = ipc::ThreadPhase::kOwn, .number = next_number(), .since = now});
  housekeeping_due_[thread] =
      handlers_.empty() ? streams_->do_housekeeping(now) : handlers_[thread]->do_housekeeping(now);
  if (!cells_.empty()) cells_[thread].end(os::now());
  lock.lock();
  house_since_[thread].reset();
}

bool ApplicationThreads::keeps_house_for(Duration time) {
  const os::TimePoint before = os::now() - time;
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(house_since_, [&](const auto& since) { return since && *since <= before; });
}

ApplicationThreads::Job ApplicationThreads::take_job(std::size_t thread) {
  Job job = std::move(jobs_.front());
  jobs_.pop_front();
  working_on_[thread] = Work{.connection = job.connection, .since = os::now()};
  return job;
}

// What is to be told when the thread is free again.
ApplicationThreads::News ApplicationThreads::serve(std::size_t thread, Job job) {
  News news{.connection = job.connection};
  if (std::holds_alternative<http::OwnedRequest>(job.work)) {
    news = answer(thread, std::move(job));
  } else if (std::holds_alternative<std::shared_ptr<StreamPipe>>(job.work)) {
    converse(thread, job, news);
  } else {
    show(thread, {.phase = ipc::ThreadPhase::kStream}, job.number);
    news.outcome = app::run_event(*streams_, std::get<app::StreamEvent>(std::move(job.work)));
  }
  news.is_last = true;
  if (!cells_.empty()) cells_[thread].end(os::now());
  return news;
}

// What the application sends, and whether it waits or works, the I/O thread sees in the pipe.
void ApplicationThreads::converse(std::size_t thread, const Job& job, News& news) {
  StreamPipe& pipe = *std::get<std::shared_ptr<StreamPipe>>(job.work);
  show(thread, {.phase = ipc::ThreadPhase::kStream}, job.number);
  pipe.begin([this, connection = job.connection] { tell({.connection = connection}); });
  try {
    streams_->converse(pipe);
  } catch (const std::exception& exception) {
    news.failure = exception.what();
  } catch (...) {
    news.failure = "an exception that is no std::exception";
  }
  if (!news.failure.empty()) pipe.cut();
  pipe.finish();
}

// An answer whose body crosses to the I/O thread piece by piece.
struct ApplicationThreads::Sending {
  ApplicationThreads* threads;
  std::uint64_t connection;
  BodyPipe::Tell tell;
  std::shared_ptr<BodyPipe> pipe = {};  // once it has begun

  void begin(http::Response head, std::optional<std::uint64_t> size) {
    own(head);
    pipe = std::make_shared<BodyPipe>(threads->room_);
    head.body = make_reader(pipe, size);
    threads->tell({.connection = connection, .answer = std::move(head)});
  }
};

void ApplicationThreads::show(std::size_t thread, ipc::Call call, std::uint64_t number) {
  const auto& working_on = working_on_[thread];  // written by this thread only
  if (cells_.empty() || !working_on) return;
  call.number = number;
  call.since = working_on->since;
  if (request_timeout_ > Duration::zero()) call.deadline = call.since + request_timeout_;
  cells_[thread].begin(call);
}

ApplicationThreads::News ApplicationThreads::answer(std::size_t thread, Job job) {
  const std::uint64_t connection = job.connection;
  http::OwnedRequest request = std::get<http::OwnedRequest>(std::move(job.work));
  News news{.connection = connection};
  Sending sending{
      .threads = this,
      .connection = connection,
      .tell = {.more = [this, connection] { tell({.connection = connection}); },
               .no_file = [this, connection](
                              std::string why) { tell({.connection = connection, .warning = std::move(why)}); }}};
  http::EarlyAnswer early;
  early.begin = [&](http::Response head, std::optional<std::uint64_t> size) {
    early.has_begun = true;
    sending.begin(std::move(head), size);
  };
  early.write = [&](std::string_view bytes) { return sending.pipe->write(bytes, sending.tell); };
  http::Request view = request.view();
  show(thread, call_of(view), job.number);
  view.early = &early;
  http::Answer answer = call(*handlers_[thread], view, news.failure);
  if (!news.failure.empty()) news.failure = http::failure_text(view, news.failure);
  if (early.has_begun) {
    sending.pipe->finish(news.failure.empty() ? State::kEnd : State::kFailed, sending.tell);
    return news;
  }
  auto* const response = std::get_if<http::Response>(&answer);
  if (response == nullptr) {
    answer = http::error_response(kInternalError);
    news.failure = "an application that runs on threads cannot answer later";
  }
  http::Response made = std::move(std::get<http::Response>(answer));
  own(made);
  auto* const body = std::get_if<std::unique_ptr<http::BodySource>>(&made.body);
  if (body != nullptr) {
    const std::unique_ptr<http::BodySource> source = std::move(*body);
    sending.begin(std::move(made), source->size());
    if (!cells_.empty()) cells_[thread].change(ipc::ThreadPhase::kBody);
    news.failure = sending.pipe->fill(*source, sending.tell);
    if (!news.failure.empty()) news.failure = http::failure_text(view, news.failure);
    // There is no news then but that the thread is free.
  } else {
    news.answer = std::move(made);
  }
  return news;
}

// Whether the I/O thread is to be told that there is some.
bool ApplicationThreads::add_news(News news) {
  news_.push_back(std::move(news));
  return news_.size() == 1;
}

void ApplicationThreads::tell(News news) {
  bool signal = false;
  {
    const std::lock_guard lock(mutex_);
    signal = add_news(std::move(news));
  }
  if (signal) event_.signal();
}

}  // namespace prong::worker
