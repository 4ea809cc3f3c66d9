#include "worker/exec_connection.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <variant>

#include "app/ucspi.hpp"
#include "base/units.hpp"
#include "log/log.hpp"
#include "net/address.hpp"
#include "os/clock.hpp"
#include "os/execute.hpp"
#include "worker/exec_worker.hpp"
#include "worker/hear_master.hpp"

namespace prong::worker {
namespace {

constexpr std::uint64_t kSignalKey = 0;
constexpr std::uint64_t kChannelKey = 1;
constexpr std::uint64_t kFirstListenerKey = 2;

// Longer, and a master that does not answer would cost the client more than one connection above the limit is worth.
constexpr Duration kLongestAsk{1'000};
constexpr Duration kAcceptPause{100};

}  // namespace

Result<ConnectionWorker> ConnectionWorker::create(const ipc::Inheritance& inheritance, const config::ExecConfig& exec,
                                                  ipc::Channel& channel, app::Program program) {
  auto epoll = os::Epoll::create();
  if (!epoll) return failure(std::move(epoll.error()));
  auto signals = os::SignalFd::create({SIGTERM});
  if (!signals) return failure(std::move(signals.error()));
  if (auto added = epoll->add(signals->fd(), EPOLLIN, kSignalKey); !added) return failure(std::move(added.error()));
  if (auto added = epoll->add(channel.fd(), EPOLLIN, kChannelKey); !added) return failure(std::move(added.error()));
  return ConnectionWorker{inheritance, exec, channel, std::move(program), std::move(*epoll), std::move(*signals)};
}

ConnectionWorker::ConnectionWorker(const ipc::Inheritance& inheritance, const config::ExecConfig& exec,
                                   ipc::Channel& channel, app::Program program, os::Epoll epoll, os::SignalFd signals)
    : stderr_fd_(inheritance.stderr_fd),
      asks_first_(exec.max_per_address > 0),
      cell_(inheritance.cell),
      channel_(&channel),
      program_(std::move(program)),
      epoll_(std::move(epoll)),
      signals_(std::move(signals)) {
  for (const ipc::InheritedListener& listener : inheritance.listeners) listeners_.emplace_back(listener.fd);
}

int ConnectionWorker::run() {
  if (auto said = send_surely(*channel_, ipc::Ready{}); !said)
    log::error(MessageCode::kReadyNotTold, "cannot say that it is ready: {}", said.error().text());
  while (!over_) turn();
  return status_;
}

void ConnectionWorker::turn() {
  std::array<epoll_event, 8> buffer{};
  auto events = epoll_.wait(buffer, std::nullopt);
  if (!events) {
    log::error(MessageCode::kEventLoopFailed, "{}", events.error().text());
    over_ = true;
    return;
  }
  // Listeners first: nobody else has heard of their connection (EPOLLEXCLUSIVE), and what the channel says may be Stop.
  for (const epoll_event& event : *events)
    if (event.data.u64 >= kFirstListenerKey && !over_) accept(listeners_[event.data.u64 - kFirstListenerKey]);
  for (const epoll_event& event : *events) {
    if (over_) return;
    if (event.data.u64 == kSignalKey) read_signals();
    if (event.data.u64 == kChannelKey) read_channel();
  }
}

void ConnectionWorker::read_signals() {
  for (const os::ReceivedSignal& received : signals_.read()) {
    if (auto said = channel_->send(
            ipc::Retiring{.reason = fmt::format("{} from pid {} uid {}", os::signal_name(received.number),
                                                received.sender_pid, received.sender_uid)});
        !said)
      log::warn(MessageCode::kMasterNotTold, "stops on a signal, and cannot tell the master: {}", said.error().text());
    return stop(true);
  }
}

void ConnectionWorker::read_channel() {
  const auto obeys = [this](ipc::Channel::Received received) {
    obey(std::move(received));
    return over_ ? Hearing::kEnough : Hearing::kGoesOn;
  };
  if (hear_master(*channel_, obeys) == MasterIs::kThere) return;
  log::error(MessageCode::kMasterGone, "the master is gone");
  stop(false);
}

void ConnectionWorker::obey(ipc::Channel::Received received) {
  if (std::holds_alternative<ipc::Serve>(received.message)) {
    serve();
  } else if (const auto* order = std::get_if<ipc::Stop>(&received.message)) {
    stop(order->grace > Duration::zero());
  } else if (const auto* answer = std::get_if<ipc::Proceed>(&received.message)) {
    allowed_ = answer->allowed;
  } else if (const auto* changed = std::get_if<ipc::LogLevelChanged>(&received.message)) {
    log::set_level(static_cast<log::Level>(changed->level));
  } else if (std::holds_alternative<ipc::LogReopened>(received.message)) {
    if (received.fd.valid()) log::adopt_file(std::move(received.fd));
  }
}

void ConnectionWorker::serve() {
  if (std::exchange(serving_, true)) return;
  for (std::size_t i = 0; i < listeners_.size(); ++i)
    if (auto added = epoll_.add(listeners_[i].get(), EPOLLIN | EPOLLEXCLUSIVE, kFirstListenerKey + i); !added)
      log::error(MessageCode::kCannotWatchListener, "cannot wait for connections: {}", added.error().text());
}

// A connection may have come that only this worker was woken for (EPOLLEXCLUSIVE): it would wait for the next one.
void ConnectionWorker::stop(bool look_once_more) {
  for (std::size_t i = 0; i < listeners_.size() && serving_ && look_once_more && !over_; ++i) accept(listeners_[i]);
  over_ = true;
}

void ConnectionWorker::accept(const os::UniqueFd& listener) {
  Connection connection{.accepted = os::accept_connection(listener.get(), os::AcceptFor::kProgram), .variables = {}};
  const int fd = connection.accepted.fd.get();
  if (connection.accepted.error != 0) {
    if (connection.accepted.error == EAGAIN || connection.accepted.died_in_queue()) return;  // EAGAIN: a sibling's
    log::error(connection.accepted.error == EMFILE ? MessageCode::kDescriptorsSpent : MessageCode::kCannotAccept, "{}",
               system_error("cannot accept", connection.accepted.error).text());
    pollfd news{.fd = channel_->fd(), .events = POLLIN, .revents = 0};
    (void)::poll(&news, 1, static_cast<int>(kAcceptPause.count()));  // memory may be free soon
    return;
  }
  ipc::add(cell_->connections, 1);
  cell_->open_connections.store(1, std::memory_order_relaxed);
  connection.variables = app::ucspi_variables(fd, connection.accepted.peer);
  const std::string address = net::host_text(connection.accepted.peer);
  allowed_.reset();
  if (auto said = send_surely(*channel_, ipc::Taken{.address = address}); !said) {
    over_ = true;  // the master is gone, and with it everybody who could stop the program
    return;
  }
  if (may_proceed(address)) return become(std::move(connection));
  os::reset_on_close(fd);
  cell_->open_connections.store(0, std::memory_order_relaxed);
}

bool ConnectionWorker::may_proceed(const std::string& address) {
  if (!asks_first_ || address.empty()) return true;
  const os::TimePoint until = os::now() + kLongestAsk;
  while (!allowed_) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - os::now());
    if (left.count() <= 0) return true;
    pollfd answer{.fd = channel_->fd(), .events = POLLIN, .revents = 0};
    (void)::poll(&answer, 1, static_cast<int>(left.count()));
    auto received = channel_->receive();
    if (received.kind == ipc::Channel::Kind::kEnd) return false;  // its next look at the channel ends this worker
    if (received.kind != ipc::Channel::Kind::kMessage) continue;
    // A Stop changes nothing for a connection that is held; a worker that may not have it goes.
    if (std::holds_alternative<ipc::Stop>(received.message))
      over_ = true;
    else
      obey(std::move(received));
  }
  return *allowed_;
}

void ConnectionWorker::become(Connection connection) {
  for (const auto& [name, value] : connection.variables) program_.add(name, value);
  const int fd = connection.accepted.fd.get();
  Result<void> placed = os::place_descriptor(fd, STDIN_FILENO);
  if (placed) placed = os::place_descriptor(fd, STDOUT_FILENO);
  if (placed && stderr_fd_ >= 0) placed = os::place_descriptor(stderr_fd_, STDERR_FILENO);
  os::unblock_all_signals();
  const Error error = placed ? program_.become() : placed.error();
  (void)send_surely(*channel_, ipc::StartFailed{.reason = error.text()});  // nobody else is left to be told
  status_ = kCannotExecute;
  over_ = true;
}

}  // namespace prong::worker
