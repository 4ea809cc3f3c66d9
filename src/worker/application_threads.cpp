#include "worker/application_threads.hpp"

#include <algorithm>
#include <exception>
#include <utility>
#include <variant>

#include "http/response.hpp"
#include "worker/body_pipe.hpp"

namespace prong::worker {
namespace {

constexpr std::uint16_t kInternalError = 500;

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
    std::vector<std::unique_ptr<http::Handler>> handlers, std::size_t output_buffer) {
  auto event = os::EventFd::create();
  if (!event) return failure(std::move(event.error()));
  return std::unique_ptr<ApplicationThreads>(
      new ApplicationThreads(std::move(handlers), std::move(*event), output_buffer));
}

http::Answer ApplicationThreads::handle(const http::Request& request) {
  Job job{.connection = request.connection, .request = http::OwnedRequest(request)};
  bool wake = false;
  {
    const std::lock_guard lock(jobs_mutex_);
    jobs_.push_back(std::move(job));
    ++busy_;
    wake = sleeping_ > 0;
  }
  if (wake) job_arrived_.notify_one();
  return http::Later{};
}

http::DescriptorNeeds ApplicationThreads::descriptor_needs() const {
  http::DescriptorNeeds needs;
  for (const auto& handler : handlers_) {
    const http::DescriptorNeeds each = handler->descriptor_needs();
    needs.held += each.held;
    needs.per_answer = std::max(needs.per_answer, each.per_answer);
  }
  return needs;
}

std::vector<ApplicationThreads::News> ApplicationThreads::take_news() {
  (void)event_.take();  // before the news, so that what comes later is signalled again
  const std::lock_guard lock(news_mutex_);
  return std::exchange(news_, {});
}

bool ApplicationThreads::has_free_thread() const {
  const std::lock_guard lock(jobs_mutex_);
  return busy_ < handlers_.size();
}

std::size_t ApplicationThreads::busy() const {
  const std::lock_guard lock(jobs_mutex_);
  return busy_;
}

ApplicationThreads::Cancelled ApplicationThreads::cancel(std::uint64_t connection) {
  const std::lock_guard lock(jobs_mutex_);
  const auto waiting = std::ranges::find(jobs_, connection, &Job::connection);
  if (waiting != jobs_.end()) {
    jobs_.erase(waiting);
    --busy_;
    return Cancelled::kWaiting;
  }
  return std::ranges::find(working_on_, connection) != working_on_.end() ? Cancelled::kRunning : Cancelled::kDone;
}

void ApplicationThreads::finish() {
  {
    const std::lock_guard lock(jobs_mutex_);
    finished_ = true;
  }
  job_arrived_.notify_all();
}

void ApplicationThreads::run(std::size_t thread) {
  while (std::optional<Job> job = take_job(thread)) serve(thread, *std::move(job));
}

// The next job; nothing: there will be none. While there is none, the handler keeps its house.
std::optional<ApplicationThreads::Job> ApplicationThreads::take_job(std::size_t thread) {
  http::Handler& handler = *handlers_[thread];
  std::optional<os::TimePoint> due;
  bool is_kept = false;
  std::unique_lock lock(jobs_mutex_);
  while (true) {
    if (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      working_on_[thread] = job.connection;
      return job;
    }
    if (finished_) return std::nullopt;
    if (!is_kept || (due && *due <= os::now())) {
      lock.unlock();
      due = handler.do_housekeeping(os::now());
      is_kept = true;
      lock.lock();
      continue;
    }
    ++sleeping_;
    if (due)
      job_arrived_.wait_until(lock, *due);
    else
      job_arrived_.wait(lock);
    --sleeping_;
  }
}

void ApplicationThreads::serve(std::size_t thread, Job job) {
  News news{.connection = job.connection};
  http::Answer answer = call(*handlers_[thread], job.request.view(), news.failure);
  auto* const response = std::get_if<http::Response>(&answer);
  if (response == nullptr) {
    answer = http::error_response(kInternalError);
    news.failure = "an application that runs on threads cannot answer later";
  }
  http::Response made = std::move(std::get<http::Response>(answer));
  own(made);
  std::unique_ptr<http::BodySource> source;
  std::shared_ptr<BodyPipe> pipe;
  if (auto* const body = std::get_if<std::unique_ptr<http::BodySource>>(&made.body)) {
    source = std::move(*body);
    pipe = std::make_shared<BodyPipe>(output_buffer_);
    made.body = make_reader(pipe, source->size());
  }
  news.answer = std::move(made);
  const std::uint64_t connection = job.connection;
  if (source != nullptr) {
    tell(std::exchange(news, {.connection = connection}));
    std::string broken = pipe->fill(*source, [this, connection] { tell({.connection = connection}); });
    source.reset();
    if (!broken.empty()) tell({.connection = connection, .failure = std::move(broken)});
  }
  {
    const std::lock_guard lock(jobs_mutex_);
    --busy_;
    working_on_[thread].reset();
  }
  // After a body that was streamed there is no news but that the thread is free.
  news.is_last = true;
  tell(std::move(news));
}

void ApplicationThreads::tell(News news) {
  bool is_first = false;
  {
    const std::lock_guard lock(news_mutex_);
    is_first = news_.empty();
    news_.push_back(std::move(news));
  }
  if (is_first) event_.signal();
}

}  // namespace prong::worker
