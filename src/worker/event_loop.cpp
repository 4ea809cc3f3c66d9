#include "worker/event_loop.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>
#include <vector>

#include "base/escape.hpp"
#include "log/log.hpp"
#include "os/process.hpp"
#include "worker/child_setup.hpp"
#include "worker/hear_master.hpp"

namespace prong::worker {
namespace {

constexpr std::uint64_t kSignalKey = 0;
constexpr std::uint64_t kChannelKey = 1;
constexpr std::uint64_t kNewsKey = 2;
constexpr std::uint64_t kModuleKey = 3;
constexpr std::uint64_t kFirstListenerKey = 4;

// How long a client gets to close after the last answer; it decides nothing but when the descriptor is free again.
constexpr Duration kLingerTime{5'000};
constexpr Duration kShortestHousekeeping{10};
// From the end of a drain's grace until a thread that has not returned counts as stuck. Below what the master gives the
// worker to exit by itself (kExitTime of master/stop_plan).
constexpr Duration kReturnTime{250};
// How often streams are looked at while the worker drains, if their grace is short.
constexpr Duration kShortestSilence{10};

http::Limits to_limits(const config::HttpConfig& from) {
  return {.max_request_line = from.max_request_line,
          .max_header_line = from.max_header_line,
          .max_header = from.max_header,
          .max_fields = from.max_headers,
          .max_body = from.max_body,
          .body_buffer = from.body_buffer,
          .body_dir = from.body_dir,
          .output_buffer = from.output_buffer,
          .max_requests = from.keepalive_requests,
          .underscore_names = from.underscore_headers == config::UnderscoreHeaders::kRefuse
                                  ? http::UnderscoreNames::kRefuse
                                  : http::UnderscoreNames::kDrop,
          .server_header = from.server_header};
}

// That each is one was checked by the master.
http::ProxyTrust to_trust(const config::PoolConfig& pool) {
  http::ProxyTrust trust{.kind = pool.forwarded == config::Forwarded::kForwarded ? http::ForwardedKind::kForwarded
                                                                                 : http::ForwardedKind::kXForwarded};
  for (const std::string& proxy : pool.trusted_proxies) {
    if (proxy == config::kUnixPeers)
      trust.unix_peers = true;
    else if (auto network = net::Network::parse(proxy))
      trust.networks.push_back(*network);
  }
  return trust;
}

// What has to move in each `round` for that many bytes per second.
std::uint64_t quota(ByteSize per_second, Duration round) {
  constexpr std::uint64_t kMillisecondsPerSecond = 1'000;
  return std::max<std::uint64_t>(1,
                                 per_second.bytes * static_cast<std::uint64_t>(round.count()) / kMillisecondsPerSecond);
}

// A worker accepts only what it can serve (design.md section 7), and an answer may need a second descriptor for its
// file: one that accepts until no descriptor is left can only answer 503.
std::size_t connections_for(std::size_t descriptors, std::size_t listeners, const http::DescriptorNeeds& needs) {
  constexpr std::size_t kOwnDescriptors = 16;  // standard ones, channel, epoll, signalfd, logs, and a few to spare
  const std::size_t taken = kOwnDescriptors + listeners + needs.held;
  const std::size_t each = 1 + needs.per_answer;
  return descriptors > taken + each ? (descriptors - taken) / each : 1;
}

http::DescriptorNeeds descriptor_needs(const EventLoop::Application& application) {
  if (application.handler != nullptr) return application.handler->descriptor_needs();
  return {.held = 0, .per_answer = 0};
}

// What holds for the connections of a pool, whatever is spoken on them.
struct Patience {
  Duration idle{};
  Duration sending{};
  std::uint64_t send_quota = 1;
};
Patience patience_of(const config::PoolConfig& pool) {
  const auto of = [](const auto& limits) {
    return Patience{.idle = limits.idle_timeout,
                    .sending = limits.send_timeout,
                    .send_quota = quota(limits.min_send_rate, limits.send_timeout)};
  };
  return config::runs_streams(pool.app) ? of(pool.stream) : of(pool.http);
}

void keep_nearest(std::optional<os::TimePoint>& nearest, std::optional<os::TimePoint> other) {
  if (other && (!nearest || *other < *nearest)) nearest = other;
}

// Nothing: the pool has none. Its format was checked by the master.
Result<std::unique_ptr<log::AccessLog>> open_access_log(const ipc::Inheritance& inheritance,
                                                        const config::PoolConfig& pool) {
  if (!pool.access_log || inheritance.access_log_fd < 0) return nullptr;
  const auto format = log::AccessFormat::parse(pool.access_log->format);
  if (!format) return failure("cannot use the access log's format", format.error());
  return std::make_unique<log::AccessLog>(
      os::UniqueFd{inheritance.access_log_fd}, *format,
      log::Subject{
          .pool = inheritance.pool, .slot = inheritance.slot, .generation = inheritance.generation, .pid = ::getpid()},
      log::AccessLog::Settings{.path = pool.access_log->path, .flush_delay = pool.access_log->flush_delay});
}

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create(const ipc::Inheritance& inheritance,
                                                     const config::PoolConfig& pool, const ipc::Scoreboard& scoreboard,
                                                     ipc::Channel channel, Application application) {
  auto epoll = os::Epoll::create();
  if (!epoll) return failure(std::move(epoll.error()));
  // What a Python application starts must not inherit a blocked TERM.
  auto signals = std::holds_alternative<config::WsgiConfig>(pool.app) ? os::SignalFd::create_caught()
                                                                      : os::SignalFd::create({SIGTERM});
  if (!signals) return failure(std::move(signals.error()));
  if (auto added = epoll->add(signals->fd(), EPOLLIN, kSignalKey); !added) return failure(std::move(added.error()));
  if (auto added = epoll->add(channel.fd(), EPOLLIN, kChannelKey); !added) return failure(std::move(added.error()));
  if (application.threads != nullptr)
    if (auto added = epoll->add(application.threads->fd(), EPOLLIN, kNewsKey); !added)
      return failure(std::move(added.error()));
  if (application.module != nullptr)
    if (auto added = epoll->add(application.module->fd(), EPOLLIN, kModuleKey); !added)
      return failure(std::move(added.error()));
  auto access_log = open_access_log(inheritance, pool);
  if (!access_log) return failure(std::move(access_log.error()));
  return std::unique_ptr<EventLoop>{new EventLoop{inheritance, pool, scoreboard, std::move(channel), application,
                                                  std::move(*epoll), std::move(*signals), std::move(*access_log)}};
}

// file_buffer_ is written before it is read, and most pools never touch it.
// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
EventLoop::EventLoop(const ipc::Inheritance& inheritance, const config::PoolConfig& pool,
                     const ipc::Scoreboard& scoreboard, ipc::Channel channel, Application application, os::Epoll epoll,
                     os::SignalFd signals, std::unique_ptr<log::AccessLog> access_log)
    : pool_(&pool),
      latest_(os::now()),
      channel_(std::move(channel)),
      application_(application),
      limits_(to_limits(pool.http)),
      proxies_(to_trust(pool)),
      access_log_(std::move(access_log)),
      calls_(application.threads == nullptr ? std::optional(ShownCalls{scoreboard.threads().front(), latest_})
                                            : std::nullopt),
      service_{.handler = show(application),
               .streams = application.streams,
               .stream_threads = config::runs_streams(pool.app) ? application.threads : nullptr,
               .stream_buffer = static_cast<std::size_t>(pool.stream.buffer.bytes),
               .limits = &limits_,
               .access_log = access_log_.get(),
               .proxies = pool.trusted_proxies.empty() ? nullptr : &proxies_,
               .books = {.board = &scoreboard.board(), .clock = &latest_},
               .shown = calls_ ? &*calls_ : nullptr,
               .body_quota = quota(pool.http.min_body_rate, pool.http.body_timeout),
               .send_quota = patience_of(pool).send_quota,
               .file_buffer = file_buffer_},
      board_(&scoreboard.board()),
      epoll_(std::move(epoll)),
      signals_(std::move(signals)),
      acceptor_(epoll_, inheritance.listeners, kFirstListenerKey),
      idle_(patience_of(pool).idle),
      request_(pool.http.header_timeout),
      body_(pool.http.body_timeout),
      handling_(pool.request_timeout),
      sending_(patience_of(pool).sending),
      lingering_(kLingerTime),
      watch_(pool.request_timeout),
      has_idle_timeout_(patience_of(pool).idle > Duration::zero()),
      most_connections_(std::min<std::size_t>(
          pool.max_connections,
          connections_for(os::descriptor_limit(), inheritance.listeners.size(), descriptor_needs(application)))),
      now_(latest_),
      retirement_(Retirement::of(pool, now_)) {}

// What answers requests here, each of them shown if the I/O thread runs the application.
http::Handler* EventLoop::show(const Application& application) {
  if (!calls_ || application.handler == nullptr) return application.handler;
  return &shown_.emplace(*application.handler, *calls_);
}

void EventLoop::run() {
  if (auto said = channel_.send(ipc::Ready{}); !said)
    log::error(MessageCode::kReadyNotTold, "cannot say that it is ready: {}", said.error().text());
  while (has_work()) turn();
  if (access_log_) access_log_->close(now_);
}

bool EventLoop::has_work() const {
  if (!draining_ || connections_.size() > 0 || close_due_) return true;
  // A client may have left its request, which is finished all the same; and who talks with one that was cut hears of it
  // and returns.
  const bool over = drain_deadline_ && *drain_deadline_ + kReturnTime <= now_;
  return !over && application_.threads != nullptr && application_.threads->busy() > watch_.overrun();
}

void EventLoop::turn() {
  std::array<epoll_event, 64> buffer{};
  auto events = epoll_.wait(buffer, time_to_next_deadline());
  now_ = latest_ = os::now();
  if (!events) {
    log::error(MessageCode::kEventLoopFailed, "{}", events.error().text());
    return drain({.grace = Duration::zero()});
  }
  // The master first: what it has said holds for all that comes with it. Then listeners: nothing has changed since it
  // was decided that one more can be taken.
  const auto is_master = [](std::uint64_t key) { return key == kChannelKey || key == kSignalKey; };
  if (!close_due_)
    heard_listeners_ = static_cast<std::size_t>(
        std::ranges::count_if(*events, [this](const epoll_event& event) { return acceptor_.owns(event.data.u64); }));
  for (const epoll_event& event : *events)
    if (is_master(event.data.u64)) dispatch(event.data.u64, event.events);
  for (const epoll_event& event : *events)
    if (acceptor_.owns(event.data.u64)) hear_listener(event.data.u64);
  for (const epoll_event& event : *events)
    if (!is_master(event.data.u64) && !acceptor_.owns(event.data.u64)) dispatch(event.data.u64, event.events);
  handle_late();
  if (yield_due_ && *yield_due_ <= now_) yield_idle();
  if (close_due_ && *close_due_ <= now_) close_listeners();
  acceptor_.resume_if_due(now_);
  keep_house();
  if (application_.module != nullptr) keep_module();
  keep_access_log();
  consider_retirement();
  if (draining_) cut_what_is_over();
  if (application_.threads != nullptr) application_.threads->submit();
  update_accepting();
}

void EventLoop::dispatch(std::uint64_t key, std::uint32_t events) {
  if (Connection* connection = connections_.find(key); connection != nullptr) {
    if ((events & EPOLLOUT) != 0) connection->on_writable();
    if ((events & EPOLLIN) != 0 && !connection->wants_read()) connection->note_early_input();
    // EPOLLERR and EPOLLHUP come unasked; reading tells what they mean, if there is anything to be read.
    if (connection->wants_read() && (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0)
      connection->on_readable(buffer_);
    else if ((events & (EPOLLERR | EPOLLHUP)) != 0)
      connection->on_hangup(events);
    return settle(*connection);
  }
  if (key == kSignalKey) return read_signals();
  if (key == kChannelKey) return read_channel();
  if (key == kNewsKey) return read_news();
  if (key == kModuleKey) return hear_module();
}

void EventLoop::read_channel() {
  const auto obeys = [this](ipc::Channel::Received received) {
    obey(std::move(received));
    return Hearing::kGoesOn;
  };
  if (hear_master(channel_, obeys) == MasterIs::kThere) return;
  epoll_.remove(channel_.fd());
  channel_.close();
  log::error(MessageCode::kMasterGone, "the master is gone; finishing what is under way");
  // Nobody is left who could accept.
  drain({.grace = kOrphanGrace, .idle_grace = kOrphanGrace, .serve_backlog = ~std::uint64_t{0}});
}

void EventLoop::obey(ipc::Channel::Received received) {
  if (std::holds_alternative<ipc::Serve>(received.message)) {
    serving_ = true;
  } else if (std::holds_alternative<ipc::Hold>(received.message)) {
    hold();
  } else if (const auto* stop = std::get_if<ipc::Stop>(&received.message)) {
    drain({.grace = stop->grace, .idle_grace = stop->idle_grace, .serve_backlog = stop->serve_backlog});
  } else if (std::holds_alternative<ipc::LogReopened>(received.message)) {
    if (received.fd.valid()) log::adopt_file(std::move(received.fd));
  } else if (const auto* changed = std::get_if<ipc::LogLevelChanged>(&received.message)) {
    log::set_level(static_cast<log::Level>(changed->level));
  } else if (std::holds_alternative<ipc::AccessLogReopened>(received.message)) {
    if (received.fd.valid() && access_log_) access_log_->adopt(std::move(received.fd), now_);
  }
}

void EventLoop::read_signals() {
  for (const os::ReceivedSignal& received : signals_.read()) {
    if (draining_) continue;
    if (auto said =
            channel_.send(ipc::Retiring{.reason = fmt::format("{} from pid {} uid {}", os::signal_name(received.number),
                                                              received.sender_pid, received.sender_uid)});
        !said)
      log::warn(MessageCode::kMasterNotTold, "drains on a signal, and cannot tell the master: {}", said.error().text());
    drain(
        {.grace = pool_->graceful_timeout, .idle_grace = pool_->graceful_timeout, .serve_backlog = ~std::uint64_t{0}});
  }
}

void EventLoop::keep_access_log() {
  if (!access_log_) return;
  const std::optional<os::TimePoint> due = access_log_->next_deadline();
  if (due && *due <= now_) access_log_->flush(now_);
}

// It asks, and goes on serving until the master has a replacement and stops it.
void EventLoop::consider_retirement() {
  if (draining_) return;
  const Retirement::Finding found = retirement_.look({.requests = ipc::value_of(board_->counters.requests),
                                                      .connections = ipc::value_of(board_->counters.connections)},
                                                     now_);
  if (!found.warning.empty()) log::warn(found.warning_code, "{}", found.warning);
  if (found.reason.empty()) return;
  if (channel_.send(ipc::WantsToRetire{.reason = found.reason})) retirement_.asked();
}

void EventLoop::keep_house() {
  if (housekeeping_due_ ? *housekeeping_due_ > now_ : !has_served_) return;
  has_served_ = false;
  if (application_.handler == nullptr) return;
  housekeeping_due_ = application_.handler->do_housekeeping(now_);
  // Whatever a handler says, it cannot keep the worker busy with nothing else.
  if (housekeeping_due_) housekeeping_due_ = std::max(*housekeeping_due_, now_ + kShortestHousekeeping);
}

// A second order can only shorten the time.
void EventLoop::drain(const DrainOrder& order) {
  keep_nearest(drain_deadline_, now_ + order.grace);
  const Duration idle_grace = std::min(order.grace, order.idle_grace);
  idle_grace_ = draining_ ? std::min(idle_grace_, idle_grace) : idle_grace;
  keep_nearest(idle_deadline_, now_ + idle_grace);
  if (!std::exchange(draining_, true)) connections_.for_each([](Connection& c) { c.announce_close(); });
  serve_backlog_ |= order.serve_backlog;
  stop_accepting();
}

void EventLoop::tell_module_to_drain() const {
  if (application_.threads == nullptr) {
    const ShownCall shown{service_.shown, {.phase = ipc::ThreadPhase::kOwn}};
    return application_.module->drain();
  }
  application_.module->drain();
  application_.threads->want_housekeeping();  // here, since this may be the last turn
}

// Past a deadline of the drain: all connections, or the idle ones.
void EventLoop::cut_what_is_over() {
  const bool all = drain_deadline_ && *drain_deadline_ <= now_;
  const bool idle = idle_deadline_ && *idle_deadline_ <= now_;
  if (!all && !idle) return;
  std::vector<std::uint64_t> keys;
  connections_.for_each([&](const Connection& connection) { keys.push_back(connection.key()); });
  std::size_t cut = 0;
  for (const std::uint64_t key : keys) {
    Connection* connection = connections_.find(key);
    if (connection->waiting() == Waiting::kIdle && connection->wants_read()) {
      // A request may have arrived since the last look.
      connection->on_readable(buffer_);
      settle(*connection);
      connection = connections_.find(key);
      if (connection == nullptr) continue;
    }
    const bool at_rest = is_at_rest(*connection);
    if (!all && !at_rest) continue;
    if (!at_rest) ++cut;
    remove(*connection);
  }
  // Streams are looked at again and again: it is silence that ends them.
  if (config::runs_streams(pool_->app) && idle) idle_deadline_ = now_ + std::max(idle_grace_ / 8, kShortestSilence);
  if (cut > 0)
    log::warn(MessageCode::kConnectionsCut, "the grace is over: {} connections cut in the middle of {}", cut,
              unit_of_work());
}

bool EventLoop::is_at_rest(const Connection& connection) const {
  if (connection.waiting() == Waiting::kLingering) return true;  // it has had its whole answer
  if (connection.waiting() != Waiting::kIdle) return false;
  // Of a stream nobody knows where it may be cut, so that it has to be silent as long as the grace is.
  return !connection.is_stream() || now_ - connection.listed_since >= idle_grace_;
}

std::optional<os::TimePoint> EventLoop::time_of_module() const {
  if (application_.module == nullptr) return std::nullopt;
  if (application_.module->has_news()) return now_;
  const auto due = application_.module->next_due();
  // A thread has been asked to see to it.
  return application_.threads != nullptr && due == module_due_ ? std::nullopt : due;
}

std::optional<std::chrono::nanoseconds> EventLoop::time_to_next_deadline() {
  std::optional<os::TimePoint> nearest = acceptor_.next_deadline();
  keep_nearest(nearest, housekeeping_due_);
  keep_nearest(nearest, time_of_module());
  keep_nearest(nearest, yield_due_);
  keep_nearest(nearest, close_due_);
  keep_nearest(nearest, watch_.next_deadline());
  if (!draining_) keep_nearest(nearest, retirement_.next_look());
  if (access_log_) keep_nearest(nearest, access_log_->next_deadline());
  for (const DeadlineList* list : lists()) keep_nearest(nearest, list->next_deadline());
  if (draining_) {
    // A deadline that has passed has done its work; idle connections after it are cut in the turn they become idle.
    if (drain_deadline_ > now_) keep_nearest(nearest, drain_deadline_);
    if (drain_deadline_ && *drain_deadline_ + kReturnTime > now_) keep_nearest(nearest, *drain_deadline_ + kReturnTime);
    if (idle_deadline_ > now_) keep_nearest(nearest, idle_deadline_);
  }
  if (!nearest) return std::nullopt;
  return std::max(*nearest - now_, os::TimePoint::duration::zero());
}

}  // namespace prong::worker
