// The part of the I/O thread that decides which connections it takes, and takes them.
#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "log/log.hpp"
#include "os/process.hpp"
#include "worker/event_loop.hpp"

namespace prong::worker {
namespace {

// When descriptors or memory run out, others of this worker may be free soon.
constexpr Duration kAcceptPause{100};
// How long a connection waits for a worker that is free, before one gives up an idle client for it.
constexpr Duration kYieldDelay{5};
// The same for a worker that drains, and whoever serves in its place.
constexpr Duration kHandOverDelay{5};
// A client that has just had its answer may be sending its next request, which would be lost: an idle one is given up
// only when it has been idle for longer than that takes on most ways through the net.
constexpr Duration kLeastIdle{250};
// The same for a client that has not said anything yet: it is slow, or means harm.
constexpr Duration kLeastSilence{1'000};
// As fine as what is looked at (os::time_since_data()).
constexpr Duration kQueueLookInterval{1};
// An exhausted worker says so this often at the most.
constexpr std::chrono::seconds kComplaintInterval{10};

}  // namespace

void EventLoop::hear_listener(std::uint64_t key) {
  if (!serving_ || draining_) return;
  switch (admission()) {
    case Admission::kTake:
      return accept(key);
    case Admission::kReserve:
      acceptor_.pause();
      yield_due_ = now_ + kYieldDelay;
      return;
    case Admission::kLeave:
      return;
  }
}

// In reserve, and a connection has come: it is still there if no sibling was free, and then it goes before the idle
// one.
void EventLoop::yield_idle() {
  yield_due_.reset();
  if (draining_ || admission() != Admission::kReserve || !acceptor_.somebody_waits()) return;
  Connection* idle = nullptr;
  connections_.for_each([&idle](Connection& connection) {
    if (connection.waiting() == Waiting::kIdle) idle = &connection;
  });
  if (idle == nullptr) return;
  const os::TimePoint may_go = idle_.began(*idle) + (idle->conversation().requests() == 0 ? kLeastSilence : kLeastIdle);
  if (may_go > now_) {
    yield_due_ = may_go;
    return;
  }
  const std::uint64_t key = idle->key();
  idle->on_readable(buffer_);  // a request that has arrived meanwhile is served
  settle(*idle);
  idle = connections_.find(key);
  if (idle != nullptr && idle->waiting() == Waiting::kIdle) remove(*idle);
  if (admission() == Admission::kTake) accept_one_of_any();
}

// Who has heard of a connection in this very turn leaves it in the queue: the siblings hold too, and the next Serve
// finds it there. A worker that drains has more to do than this.
void EventLoop::hold() {
  serving_ = false;
  if (draining_) return;
  yield_due_.reset();
  acceptor_.pause();
}

// It drains. Of a connection that came in this very turn it may be the only one who was told (EPOLLEXCLUSIVE), so it
// looks once more before it lets go: whoever serves from now on has the first choice, what is still there is its own.
void EventLoop::stop_accepting() {
  yield_due_.reset();
  acceptor_.pause();
  if (heard_listeners_ > 0 && !acceptor_.is_closed())
    close_due_ = now_ + kHandOverDelay;
  else if (!close_due_)
    close_listeners();
}

void EventLoop::close_listeners() {
  if (std::exchange(close_due_, std::nullopt))
    for (std::size_t i = 0; i < heard_listeners_ && acceptor_.somebody_waits(); ++i) accept_one_of_any();
  acceptor_.close(serve_backlog_, [this](os::Accepted accepted, std::uint64_t key) {
    if (!accepted.fd.valid()) return false;
    (void)begin_connection(std::move(accepted), key);  // there is no queue to go back to
    return true;
  });
  // Now that nobody new comes: whoever has been taken from the queue hears of the end as all others do.
  if (application_.module != nullptr) tell_module_to_drain();
  // Not delivered: the master waits for it only for a while.
  if (channel_.valid()) (void)channel_.send(ipc::LetGo{});
}

void EventLoop::accept_one_of_any() {
  acceptor_.resume();
  auto [accepted, key] = acceptor_.accept_any();
  if (accepted.fd.valid()) {
    const bool stays = begin_connection(std::move(accepted), key);
    acceptor_.then_wait(key, stays ? Acceptor::Kept::kYes : Acceptor::Kept::kNo);
  } else if (accepted.error != EAGAIN) {
    refuse_to_accept(accepted.error);
  }
}

void EventLoop::accept(std::uint64_t key) {
  os::Accepted accepted = acceptor_.accept_one(key);
  if (accepted.fd.valid()) {
    const bool stays = begin_connection(std::move(accepted), key);
    return acceptor_.then_wait(key, stays ? Acceptor::Kept::kYes : Acceptor::Kept::kNo);
  }
  if (accepted.error != EAGAIN) refuse_to_accept(accepted.error);  // EAGAIN: a sibling was faster
}

// Whether it goes on.
bool EventLoop::begin_connection(os::Accepted accepted, std::uint64_t listener) {
  ipc::WorkerCounters& counters = board_->counters;
  ipc::add(counters.connections, 1);
  Peer peer{.address = accepted.peer,
            .listener = acceptor_.address(listener),
            .accepted_from = acceptor_.endpoint(listener),
            .number = ipc::value_of(counters.connections)};
  // The question is a system call: without an access log it is asked once in a while, of whoever comes then.
  if (accepted.peer.family() != AF_UNIX && (access_log_ || now_ - last_queue_look_ >= kQueueLookInterval)) {
    last_queue_look_ = now_;
    peer.queue_time = os::time_since_data(accepted.fd.get());
  }
  if (peer.queue_time) board_->queue_delay.add(*peer.queue_time);
  Connection& connection = connections_.add(std::move(accepted.fd), service_, peer);
  counters.open_connections.store(connections_.size(), std::memory_order_relaxed);
  if (draining_) connection.announce_close();
  // With TCP_DEFER_ACCEPT the request is there already; without, the attempt costs one call.
  const std::uint64_t key = connection.key();
  connection.begin(buffer_);
  if (connection.is_stream()) {
    ipc::add(counters.begun, 1);
    ipc::add(counters.requests, 1);
  }
  settle(connection);
  return connections_.find(key) != nullptr;
}

void EventLoop::refuse_to_accept(int error) {
  acceptor_.pause_until(now_ + kAcceptPause);
  if (last_accept_complaint_ && now_ - *last_accept_complaint_ < kComplaintInterval) return;
  last_accept_complaint_ = now_;
  const bool descriptors = error == EMFILE;
  log::error(descriptors ? MessageCode::kDescriptorsSpent : MessageCode::kCannotAccept,
             "cannot accept: {}; {} connections are open, new ones wait in the queue{}", errno_text(error),
             connections_.size(), descriptors ? "; raise rlimits.nofile or lower max_connections" : "");
}

Admission EventLoop::admission() const {
  Load load{.connections = connections_.size(),
            .most_connections = most_connections_,
            .has_free_thread = application_.threads == nullptr || application_.threads->has_free_thread()};
  if (pool_->concurrency == config::Concurrency::kProcess) {
    connections_.for_each([&load](const Connection& connection) {
      // A stream that says nothing is not at rest between two requests: it is not given up for another.
      if (connection.waiting() == Waiting::kIdle && !connection.is_stream()) ++load.idle;
      if (connection.waiting() == Waiting::kLingering) ++load.lingering;
    });
  }
  return worker::admission(pool_->concurrency, load);
}

void EventLoop::update_accepting() {
  if (!serving_ || draining_ || acceptor_.next_deadline()) return;
  switch (admission()) {
    case Admission::kTake:
      yield_due_.reset();
      return acceptor_.resume();
    case Admission::kReserve:
      if (!yield_due_) acceptor_.reserve();
      return;
    case Admission::kLeave:
      yield_due_.reset();
      acceptor_.pause();
      // max_connections is the operator's will; a limit that nobody set needs a word.
      if (connections_.size() >= most_connections_ && most_connections_ < pool_->max_connections)
        complain_of_full_table();
      return;
  }
}

void EventLoop::complain_of_full_table() {
  if (last_accept_complaint_ && now_ - *last_accept_complaint_ < kComplaintInterval) return;
  last_accept_complaint_ = now_;
  log::warn(
      MessageCode::kConnectionsAtLimit,
      "{} connections are open, as many as {} descriptors allow; new ones wait in the queue; raise rlimits.nofile",
      connections_.size(), os::descriptor_limit());
}

}  // namespace prong::worker
