#include "master/control_server.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "ipc/control.hpp"
#include "ipc/control_place.hpp"
#include "log/log.hpp"
#include "os/file.hpp"
#include "os/socket.hpp"
#include "os/users.hpp"

namespace prong::master {
namespace {

// Of clients that wait to be accepted: more than any operator starts at once, fewer than a broken one can use up.
constexpr std::uint32_t kBacklog = 128;
// In one turn of the loop, so that a flood of clients does not keep the master from its workers.
constexpr int kMostAccepted = 16;
// Of one client, in one turn.
constexpr std::size_t kMostRead = std::size_t{16} << 10U;
// When no descriptor is free: the next try to accept.
constexpr Duration kAcceptPause{1000};

std::string refusal(Error error) {
  return ipc::to_line(ipc::ControlFailure{.error = std::move(error), .details = {}});
}

}  // namespace

Result<void> ControlServer::prepare(const config::ControlConfig& config) {
  prepared_.emplace();
  prepared_->config = config;
  if (config.socket == config::kControlOff) return {};
  if (!config.group.empty()) {
    const auto group = os::find_group(config.group);
    if (!group) return failure(group.error());
    prepared_->group = *group;
  }
  if (config.socket != config::kControlAuto) {
    prepared_->path = config.socket;
    return bind(*prepared_);
  }
  const auto places = ipc::own_control_places(ipc::ControlSurroundings::of_this_process());
  if (places.empty()) {
    prepared_->why_none = "there is no runtime directory for it";
    return {};
  }
  const ipc::ControlPlace& place = places.front();
  prepared_->path = place.socket();
  Result<void> bound;
  if (place.mode != 0) bound = os::ensure_directory(place.folder, place.mode);
  if (bound) bound = bind(*prepared_);
  if (bound) return {};
  // Nobody has asked for this very place, so the daemon is worth more than its socket.
  prepared_->path.clear();
  prepared_->why_none = bound.error().text();
  return {};
}

Result<void> ControlServer::bind(Prepared& prepared) const {
  prepared.options.backlog = kBacklog;
  prepared.options.mode = prepared.config.mode;
  prepared.options.group = prepared.group;
  if (listener_ && prepared.path == path_) return {};
  const auto address = net::parse_address("unix:" + prepared.path);
  if (!address) return failure("the control socket", address.error());
  auto listener = net::Listener::open(*address, prepared.options);
  if (!listener) return failure("the control socket", std::move(listener.error()));
  prepared.listener = std::move(*listener);
  return {};
}

void ControlServer::commit() {
  if (!prepared_) return;
  Prepared prepared = std::move(*prepared_);
  prepared_.reset();
  config_ = prepared.config;
  group_ = prepared.group;
  if (prepared.path.empty()) {
    stop_listening();
    if (!prepared.why_none.empty() && prepared.why_none != why_none_)
      log::warn(MessageCode::kNoControlSocket, "no control socket, prongctl cannot reach this daemon: {}",
                prepared.why_none);
  } else if (prepared.listener) {
    stop_listening();
    path_ = prepared.path;
    use(std::move(*prepared.listener));
  } else if (listener_) {
    if (auto updated = listener_->update(prepared.options); !updated)
      log::warn(MessageCode::kControlOptionsKept, "control socket {}: {}; its old options go on", path_,
                updated.error().text());
  }
  why_none_ = std::move(prepared.why_none);
}

void ControlServer::use(net::Listener listener) {
  listener_ = std::move(listener);
  if (auto watched = epoll_->add(listener_->descriptors().front(), EPOLLIN, kListenerKey); !watched) {
    log::error(MessageCode::kControlSocketFailed, "control socket {}: {}", path_, watched.error().text());
    return stop_listening();
  }
  log::info("control socket {}", path_);
}

void ControlServer::roll_back() {
  if (!prepared_) return;
  if (prepared_->listener) prepared_->listener->unlink();
  prepared_.reset();
}

void ControlServer::stop_listening() {
  accept_again_.reset();
  path_.clear();
  if (!listener_) return;
  epoll_->remove(listener_->descriptors().front());
  listener_->unlink();
  listener_.reset();
}

void ControlServer::close() {
  roll_back();
  stop_listening();
  clients_.clear();
  requests_.clear();
}

void ControlServer::handle_event(std::uint64_t key, std::uint32_t events, os::TimePoint now) {
  if (key == kListenerKey) return accept_clients(now);
  const auto client = clients_.find(key);
  if (client == clients_.end()) return;  // it was dropped in this very turn
  // Both directions are closed, or it is broken: nobody is there to answer.
  if ((events & (EPOLLHUP | EPOLLERR)) != 0) return drop(client);
  if ((events & EPOLLIN) != 0) return read_from(client, now);
  settle(client, now);
}

void ControlServer::accept_clients(os::TimePoint now) {
  for (int i = 0; i < kMostAccepted && listener_; ++i) {
    os::Accepted accepted = os::accept_connection(listener_->descriptors().front());
    if (accepted.fd.valid()) {
      admit(std::move(accepted.fd), now);
      continue;
    }
    if (accepted.died_in_queue()) continue;
    if (accepted.error == EAGAIN) return;
    // EMFILE, ENOMEM: level-triggered, so it would come again at once.
    epoll_->remove(listener_->descriptors().front());
    accept_again_ = now + kAcceptPause;
    return;
  }
}

// Who a client is, for the log; an error when it may not ask.
Result<std::string> ControlServer::identify(int fd) const {
  const auto peer = os::peer_credentials(fd);
  if (!peer) return failure("the control socket cannot see who you are");
  const auto groups = os::peer_groups(fd);
  const bool in_group = group_ && std::ranges::find(groups, *group_) != groups.end();
  if (peer->uid != 0 && peer->uid != ::geteuid() && !in_group)
    return failure(fmt::format("uid {} may not use the control socket", peer->uid),
                   "become root or the daemon's user, or a member of control.group");
  return fmt::format("prongctl of pid {} uid {}", peer->pid, peer->uid);
}

// A refused client gets what fits into its empty socket, and is not waited for.
void ControlServer::admit(os::UniqueFd fd, os::TimePoint now) {
  const auto refuse = [&fd](const std::string& line) {
    const iovec part{.iov_base = const_cast<char*>(line.data()), .iov_len = line.size()};
    (void)os::send(fd.get(), std::span{&part, 1}, os::More::kNo);
  };
  auto by = identify(fd.get());
  if (!by) return refuse(refusal(std::move(by.error())));
  if (!make_room())
    return refuse(refusal({.message = "too many clients wait for answers", .hint = "raise control.max_clients"}));
  Client client;
  client.by = std::move(*by);
  add(std::move(fd), std::move(client), now);
}

void ControlServer::admit_worker(os::UniqueFd fd, std::string by, os::TimePoint now) {
  Client client;
  client.by = std::move(by);
  client.may = May::kLook;
  add(std::move(fd), std::move(client), now);
}

void ControlServer::add(os::UniqueFd fd, Client client, os::TimePoint now) {
  client.since = now;
  client.watched_for = EPOLLIN;
  const ClientId id = ++last_client_;
  if (auto watched = epoll_->add(fd.get(), EPOLLIN, id); !watched) return;
  client.fd = std::move(fd);
  clients_.emplace(id, std::move(client));
}

// False when all clients that there may be wait for something that takes its time.
bool ControlServer::make_room() {
  const auto counted =
      std::ranges::count_if(clients_, [](const auto& client) { return client.second.may == May::kAll; });
  if (static_cast<std::size_t>(counted) < config_.max_clients) return true;
  auto oldest = clients_.end();
  for (auto client = clients_.begin(); client != clients_.end(); ++client)
    if (!client->second.may_stay() && (oldest == clients_.end() || client->second.since < oldest->second.since))
      oldest = client;
  if (oldest == clients_.end()) return false;
  drop(oldest);
  return true;
}

void ControlServer::read_from(Clients::iterator client, os::TimePoint now) {
  Client& from = client->second;
  std::array<char, kMostRead> buffer{};
  const std::size_t room = config_.max_line.bytes + 1 - std::min(config_.max_line.bytes, from.input.size());
  const os::IoResult result = os::receive(from.fd.get(), std::span{buffer}.first(std::min(room, buffer.size())));
  if (result.error != 0) return drop(client);
  from.ended = from.ended || result.end;
  from.input.append(buffer.data(), result.bytes);
  settle(client, now);
}

// The next whole line, if there is one and the last one has been answered.
void ControlServer::take_line(Clients::iterator client, os::TimePoint now) {
  Client& from = client->second;
  if (from.asked || !from.output.empty() || from.ends_after_answer) return;
  const std::size_t end = from.input.find('\n');
  if (end != std::string::npos && end <= config_.max_line.bytes) {
    requests_.push_back({.client = client->first, .line = from.input.substr(0, end), .by = from.by, .may = from.may});
    from.input.erase(0, end + 1);
    from.asked = true;
    from.since = now;
  } else if (from.input.size() > config_.max_line.bytes) {
    from.input.clear();
    from.ends_after_answer = true;
    from.since = now;
    from.output = refusal(
        {.message = fmt::format("the request is longer than control.max_line = {}", to_text(config_.max_line))});
  }
}

// False when the client is gone.
bool ControlServer::send_to(Client& client) {
  if (client.output.empty()) return true;
  const iovec part{.iov_base = client.output.data() + client.sent, .iov_len = client.output.size() - client.sent};
  const os::IoResult result = os::send(client.fd.get(), std::span{&part, 1}, os::More::kNo);
  if (result.error != 0) return false;
  client.sent += result.bytes;
  if (client.sent == client.output.size()) {
    client.output = {};  // gives the memory back
    client.sent = 0;
  }
  return true;
}

// Goes on with a client as far as can be without waiting, and brings what is watched in line with what it does next;
// drops one that does nothing more.
void ControlServer::settle(Clients::iterator client, os::TimePoint now) {
  Client& of = client->second;
  if (!send_to(of)) return drop(client);
  take_line(client, now);
  if (!send_to(of)) return drop(client);
  const bool idle = !of.asked && of.output.empty();
  if (idle && (of.ends_after_answer || (of.ended && !of.held))) return drop(client);
  std::uint32_t wanted = 0;
  if (idle && !of.ended) wanted |= EPOLLIN;
  if (!of.output.empty()) wanted |= EPOLLOUT;
  if (wanted == of.watched_for) return;
  if (!epoll_->modify(of.fd.get(), wanted, client->first)) return drop(client);
  of.watched_for = wanted;
}

void ControlServer::drop(Clients::iterator client) {
  epoll_->remove(client->second.fd.get());
  std::erase_if(requests_, [&](const Request& request) { return request.client == client->first; });
  clients_.erase(client);
}

std::optional<ControlServer::Request> ControlServer::take_request() {
  if (requests_.empty()) return std::nullopt;
  Request request = std::move(requests_.front());
  requests_.erase(requests_.begin());
  return request;
}

void ControlServer::answer(ClientId client, std::string line, os::TimePoint now) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  found->second.output = std::move(line);
  found->second.asked = found->second.held = false;
  found->second.since = now;
  settle(found, now);
}

void ControlServer::hold(ClientId client) {
  if (const auto found = clients_.find(client); found != clients_.end()) found->second.held = true;
}

void ControlServer::handle_deadlines(os::TimePoint now) {
  if (accept_again_ && *accept_again_ <= now && listener_) {
    accept_again_.reset();
    if (!epoll_->add(listener_->descriptors().front(), EPOLLIN, kListenerKey)) accept_again_ = now + kAcceptPause;
  }
  for (auto client = clients_.begin(); client != clients_.end();) {
    const auto current = client++;
    if (!current->second.may_stay() && current->second.since + config_.idle_timeout <= now) drop(current);
  }
}

std::optional<os::TimePoint> ControlServer::next_deadline() const {
  if (!requests_.empty()) return os::TimePoint{};  // they are for this very moment
  std::optional<os::TimePoint> nearest = accept_again_;
  for (const auto& [id, client] : clients_)
    if (const auto due = client.since + config_.idle_timeout; !client.may_stay() && (!nearest || due < *nearest))
      nearest = due;
  return nearest;
}

}  // namespace prong::master
