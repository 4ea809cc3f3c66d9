#include "app/module/runtime.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "app/module/exchange.hpp"
#include "app/module/library.hpp"
#include "base/escape.hpp"
#include "log/log.hpp"
#include "net/ip_address.hpp"

namespace prong::app::module {
namespace {

constexpr std::uint64_t kPostedKey = 0;
// Of a text that a module gives for why it failed.
constexpr std::size_t kMostReason = 1'000;
// A timer that is set for longer than that is set for that long: sums of times stay in range.
constexpr std::chrono::nanoseconds kLongestTimer = std::chrono::hours{24 * 365 * 10};
// Of callbacks that are due at once: so long they have their turn, then it is that of requests and clients. Each of
// them is a call of its own only as long as that is short beside any request_timeout.
constexpr std::chrono::milliseconds kTurn{5};

std::uint32_t to_epoll(std::uint32_t events) {
  std::uint32_t wanted = 0;
  if ((events & PRONG_READABLE) != 0) wanted |= EPOLLIN;
  if ((events & PRONG_WRITABLE) != 0) wanted |= EPOLLOUT;
  return wanted;
}

std::uint32_t from_epoll(std::uint32_t events) {
  std::uint32_t told = 0;
  if ((events & EPOLLIN) != 0) told |= PRONG_READABLE;
  if ((events & EPOLLOUT) != 0) told |= PRONG_WRITABLE;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) told |= PRONG_HANGUP;
  return told;
}

std::string text_of(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& problem : problems) {
    if (!text.empty()) text += "; ";
    text += problem;
  }
  return text;
}

std::optional<std::string>& failure_of_thread() {
  thread_local std::optional<std::string> failure;
  return failure;
}

}  // namespace

void Callback::fail(std::string_view what) {
  auto& failure = failure_of_thread();
  if (!failure) failure = what.empty() ? "the module says that it has failed, and not why" : std::string(what);
}

std::optional<std::string> Callback::take_failure() {
  return std::exchange(failure_of_thread(), std::nullopt);
}

void Callback::check() {
  if (const auto failure = take_failure()) throw std::runtime_error(*failure);
}

Callback::Ending::Ending(Runtime& runtime, std::string_view what)
    : runtime_(&runtime), what_(what), outer_(take_failure()) {}

Callback::Ending::~Ending() {
  if (const auto failure = std::exchange(failure_of_thread(), std::move(outer_)))
    runtime_->complain_of_callback(what_, *failure);
}

Runtime::Runtime(Settings settings, Metrics metrics, os::Epoll epoll, os::EventFd posted)
    : settings_(std::move(settings)),
      metrics_(std::move(metrics)),
      worker_{this},
      epoll_(std::move(epoll)),
      posted_event_(std::move(posted)) {}

Result<std::unique_ptr<Runtime>> Runtime::create(Settings settings, Metrics metrics) {
  auto epoll = os::Epoll::create();
  if (!epoll) return failure(std::move(epoll.error()));
  auto posted = os::EventFd::create();
  if (!posted) return failure(std::move(posted.error()));
  if (auto added = epoll->add(posted->fd(), EPOLLIN, kPostedKey); !added) return failure(std::move(added.error()));
  std::unique_ptr<Runtime> runtime{
      new Runtime{std::move(settings), std::move(metrics), std::move(*epoll), std::move(*posted)}};
  if (auto started = runtime->start(); !started) {
    stop(std::move(runtime));  // it may have begun threads
    return failure(std::move(started.error()));
  }
  return runtime;
}

Runtime::~Runtime() = default;

void Runtime::stop(std::unique_ptr<Runtime> runtime) {
  if (runtime == nullptr) return;
  runtime->stop();
  // Never destroyed: see the declaration. Reachable, so that nobody takes it for a leak.
  static auto& stopped = *new std::vector<std::unique_ptr<Runtime>>;
  stopped.push_back(std::move(runtime));
}

void Runtime::stop() {
  {
    const std::lock_guard lock(posted_mutex_);
    is_over_ = true;
    posted_.clear();
  }
  draining_.store(true, std::memory_order_relaxed);
  // Answers that nobody gets: the module hears of the end of their bodies before it is stopped, and may then answer
  // others.
  while (!news_.empty()) std::exchange(news_, {}).clear();
  if (!started_ || module_.stop == nullptr) return;
  module_.stop(state_);
  if (const auto failure = Callback::take_failure())
    log::error(MessageCode::kModuleFailed, "{}: its stop() failed: {}", name(),
               escaped(*failure, kMostReason, Quotes::kKeep));
}

std::string Runtime::name() const {
  return fmt::format("module \"{}\"", escaped(settings_.path));
}

Result<void> Runtime::start() {
  auto loaded = load_library(settings_.path);
  if (!loaded) return failure(std::move(loaded.error()));
  module_ = *loaded;
  if (auto fits = check_fit(module_, settings_); !fits) return fits;
  options_.emplace(settings_);
  const int result = module_.start == nullptr ? PRONG_OK : module_.start(&api(), &worker_, &state_);
  const auto failed = Callback::take_failure();
  std::vector<std::string> problems = options_->refused();
  started_ = result == PRONG_OK && !failed;
  const std::vector<std::string> unknown = started_ ? options_->unknown() : options_->misspelt();
  options_.reset();
  problems.insert(problems.end(), unknown.begin(), unknown.end());
  if (!started_)
    problems.insert(problems.begin(), failed ? escaped(*failed, kMostReason, Quotes::kKeep)
                                             : fmt::format("its start() gave {} and no reason", result));
  if (problems.empty()) return {};
  return failure(fmt::format("{} cannot start: {}", name(), text_of(problems)));
}

// For callbacks that are about no request and no stream.
template <class Function>
void Runtime::call_beside(std::string_view what, Function function) {
  function();
  if (const auto failure = Callback::take_failure()) complain_of_callback(what, *failure);
}

void Runtime::run_due(os::TimePoint now) {
  (void)run_timers(now, os::now() + kTurn);
}

bool Runtime::run_timers(os::TimePoint now, os::TimePoint end) {
  bool has_run = false;
  do {
    const auto timer = timers_.take_due(now);
    if (!timer) break;
    has_run = true;
    call_beside("a timer", [&] { timer->fire(timer->context); });
  } while (os::now() < end);
  return has_run;
}

void Runtime::run_ready() {
  const os::TimePoint end = os::now() + kTurn;
  if (heard_.empty()) {
    std::array<epoll_event, 64> buffer{};
    const auto events = epoll_.wait(buffer, std::chrono::nanoseconds::zero());
    if (!events) return;
    for (const epoll_event& event : *events)
      heard_.push_back({.watch = event.data.u64, .what = from_epoll(event.events)});
  }
  do {
    if (heard_.empty()) return;
    const Heard heard = heard_.front();
    heard_.pop_front();
    if (heard.watch == kPostedKey) {
      (void)posted_event_.take();  // before the functions, so that what comes later is heard again
      run_posted(end);
      continue;
    }
    // One callback may have taken out what another one was to hear.
    const auto found = watches_.find(heard.watch);
    if (found == watches_.end()) continue;
    const Watch watch = found->second;
    call_beside("a descriptor's function", [&] { watch.ready(watch.context, heard.what); });
  } while (os::now() < end);
  // What is left has its turn next, late: a descriptor may not be ready any more by then, as after any event.
}

// Those that are there, and not those that come meanwhile.
void Runtime::run_posted(os::TimePoint end) {
  std::size_t left = 0;
  {
    const std::lock_guard lock(posted_mutex_);
    left = posted_.size();
  }
  for (; left > 0; --left) {
    const auto posted = take_posted();
    if (!posted) return;
    call_beside(posted->what, [&] { posted->run(posted->context); });
    if (os::now() >= end) break;
  }
  if (left > 1) posted_event_.signal();
}

std::optional<Posted> Runtime::take_posted() {
  const std::lock_guard lock(posted_mutex_);
  if (posted_.empty()) return std::nullopt;
  const Posted posted = posted_.front();
  posted_.pop_front();
  return posted;
}

bool Runtime::hear_posted() {
  (void)posted_event_.take();  // before the look, so that what comes later is heard again
  return has_posted() || has_due(os::now());
}

void Runtime::keep_house(os::TimePoint now) {
  if (!has_posted() && !has_due(now)) return;
  bool is_news = false;
  {
    const std::unique_lock lock(house_mutex_, std::try_to_lock);
    // Whoever is at it looks again when it is done.
    if (!lock.owns_lock()) return;
    const os::TimePoint end = now + kTurn;
    run_posted(end);
    // The I/O thread has seen to the timer that was due, and may sleep: it has to hear of the next one.
    is_news = run_timers(now, end);
  }
  // Some other thread may be free for what is left.
  if (is_news || has_posted() || has_due(os::now())) posted_event_.signal();
}

bool Runtime::has_posted() {
  const std::lock_guard lock(posted_mutex_);
  return !posted_.empty();
}

bool Runtime::post(const Posted& posted) {
  {
    const std::lock_guard lock(posted_mutex_);
    if (is_over_) return false;
    posted_.push_back(posted);
  }
  posted_event_.signal();
  return true;
}

void Runtime::drain() {
  if (draining_.exchange(true) || module_.drain == nullptr) return;
  constexpr std::string_view kWhat = "its drain()";
  if (settings_.model == Model::kEvent) return call_beside(kWhat, [this] { module_.drain(state_); });
  (void)post({.run =  // it is not over while it drains
              [](void* context) {
                const auto& runtime = *static_cast<Runtime*>(context);
                runtime.module_.drain(runtime.state_);
              },
              .context = this,
              .what = kWhat});
}

std::uint64_t Runtime::start_timer(std::chrono::nanoseconds after, const Timers::Timer& timer) {
  Timers::Timer bounded = timer;
  bounded.every = std::min(bounded.every, kLongestTimer);
  const os::TimePoint due = os::now() + std::min(after, kLongestTimer);
  const auto [number, is_next] = timers_.start(due, bounded);
  // The I/O thread has not reckoned with it.
  if (is_next && settings_.model != Model::kEvent) posted_event_.signal();
  return number;
}

void Runtime::stop_timer(std::uint64_t number) {
  // It may have been the one that the I/O thread had seen to.
  if (timers_.stop(number) && settings_.model != Model::kEvent) posted_event_.signal();
}

std::uint64_t Runtime::watch(int descriptor, std::uint32_t events, Ready ready, void* context) {
  if (settings_.model != Model::kEvent || descriptor < 0 || ready == nullptr) return 0;
  const std::uint64_t number = ++last_watch_;
  if (!epoll_.add(descriptor, to_epoll(events), number)) return 0;
  watches_.emplace(number, Watch{.descriptor = descriptor, .ready = ready, .context = context});
  watched_[descriptor] = number;
  return number;
}

bool Runtime::change_watch(std::uint64_t number, std::uint32_t events) {
  const auto found = watches_.find(number);
  return found != watches_.end() && is_watching(number, found->second.descriptor) &&
         epoll_.modify(found->second.descriptor, to_epoll(events), number).has_value();
}

void Runtime::stop_watch(std::uint64_t number) {
  const auto found = watches_.find(number);
  if (found == watches_.end()) return;
  if (is_watching(number, found->second.descriptor)) {
    epoll_.remove(found->second.descriptor);
    watched_.erase(found->second.descriptor);
  }
  watches_.erase(found);
}

bool Runtime::is_watching(std::uint64_t number, int descriptor) const {
  const auto last = watched_.find(descriptor);
  return last != watched_.end() && last->second == number;
}

void Runtime::complain_of_slow_client(const os::SocketAddress& client, std::size_t waiting) {
  const std::lock_guard lock(complaints_mutex_);
  if (const auto before = slow_clients_.count(os::now()))
    log::warn(MessageCode::kStreamTooSlow,
              "{}: {} bytes were waiting for the client {}, more than stream.max_output, so it was cut{}", name(),
              waiting, net::to_text(net::IpAddress::of(client)), *before);
}

void Runtime::complain_of_answer(std::string_view problem) {
  const std::lock_guard lock(complaints_mutex_);
  if (const auto before = wrong_answers_.count(os::now()))
    log::error(MessageCode::kModuleFailed, "{}: {}{}", name(), problem, *before);
}

void Runtime::complain_of_callback(std::string_view what, std::string_view failure) {
  const std::lock_guard lock(complaints_mutex_);
  if (const auto before = failed_callbacks_.count(os::now()))
    log::error(MessageCode::kModuleFailed, "{}: {} failed: {}{}", name(), what,
               escaped(failure, kMostReason, Quotes::kKeep), *before);
}

void Runtime::complain_of_metric(std::string_view metric, const Error& why) {
  const std::lock_guard lock(complaints_mutex_);
  if (const auto before = wrong_metrics_.count(os::now()))
    log::error(MessageCode::kModuleFailed, "{}: the metric \"{}\" cannot be: {}{}", name(), escaped(metric), why.text(),
               *before);
}

std::vector<Runtime::News> Runtime::take_news() {
  return std::exchange(news_, {});
}

bool Runtime::has_news_of(std::uint64_t connection) const {
  return std::ranges::find(news_, connection, &News::connection) != news_.end();
}

prong_exchange* Runtime::defer(std::uint64_t connection) {
  auto exchange = std::make_unique<prong_exchange>();
  exchange->runtime = this;
  exchange->connection = connection;
  exchange->is_deferred = true;
  prong_exchange* const made = exchange.get();
  deferred_.emplace(made, std::move(exchange));
  awaited_[connection] = made;
  return made;
}

void Runtime::end_deferred(prong_exchange* exchange) {
  if (const auto found = awaited_.find(exchange->connection); found != awaited_.end() && found->second == exchange)
    awaited_.erase(found);
  deferred_.erase(exchange);
}

void Runtime::answer_later(std::uint64_t connection, http::Response response) {
  news_.push_back({.connection = connection, .answer = std::move(response)});
}

std::optional<http::Response> Runtime::take_answer(std::uint64_t connection) {
  const auto found =
      std::ranges::find_if(news_, [&](const News& news) { return news.answer && news.connection == connection; });
  if (found == news_.end()) return std::nullopt;
  std::optional<http::Response> answer = std::move(found->answer);
  news_.erase(found);
  return answer;
}

void Runtime::forget(std::uint64_t connection) {
  (void)take_answer(connection);  // which would be taken for that of the next request
  const auto found = awaited_.find(connection);
  if (found == awaited_.end()) return;
  prong_exchange* const exchange = found->second;
  awaited_.erase(found);
  exchange->is_gone = true;
  if (exchange->on_gone != nullptr)
    call_beside("a function of on_gone()", [exchange] { exchange->on_gone(exchange->gone_context); });
}

}  // namespace prong::app::module
