#include "launch/spare.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <span>

#include "ipc/wire.hpp"
#include "launch/address.hpp"
#include "launch/call.hpp"

namespace prong::launch {
namespace {

// Its NUL stays, the next one begins behind it.
void end_variable(Text& text) {
  text.add('\0');
}

constexpr std::uint64_t kSignalKey = 0;
constexpr std::uint64_t kChannelKey = 1;
constexpr std::uint64_t kFirstListenerKey = 2;
constexpr int kCannotExecute = 127;        // worker/exec_worker.hpp
constexpr std::size_t kSignalSetSize = 8;  // the kernel's sigset_t
// Those that the program may find pending: SIGTERM asks it to end.
constexpr std::uint64_t kAllButTerm = ~(std::uint64_t{1} << (SIGTERM - 1));

bool is_passing(long error) {
  return error == -EAGAIN || error == -ECONNABORTED || error == -EINTR || error == -EPROTO || error == -EPERM;
}

class Spare {
 public:
  explicit Spare(Errand& errand) : errand_(&errand), settings_(errand.settings) {}
  int run();

 private:
  bool set_up();
  void turn();
  void read_signal();
  void read_channel();
  // The beginning of a packet is all that is read of it.
  using Packet = std::array<unsigned char, 64>;
  long receive(Packet& packet) const;
  void obey(const Packet& packet, long size);
  void stop(bool look_once_more);
  void accept(int listener);
  bool may_proceed(const char* address);
  void become(int connection, const SocketName& peer, socklen_t peer_size);
  void lay_out_environment(int connection, const SocketName& peer, socklen_t peer_size);
  Text& begin_variable(Text& text, const char* name);
  bool is_replaced(const char* entry) const;
  bool send(ipc::Tag tag, const char* text, std::size_t size) const;
  void wait_for(short events, timespec* patience) const;

  Errand* errand_;
  const Settings* settings_;
  int epoll_ = -1;
  bool over_ = false;
  int status_ = 0;
  enum class Answer : std::uint8_t { kNone, kYes, kNo } answer_ = Answer::kNone;
  std::array<const char*, kMostVariables> variables_{};
  std::size_t variable_count_ = 0;
};

bool watch(int epoll, int fd, std::uint32_t events, std::uint64_t key) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = key;
  return call(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

int Spare::run() {
  if (!set_up()) return 1;
  // The master may have given this spare up before it was there.
  read_channel();
  while (!over_) turn();
  return status_;
}

bool Spare::set_up() {
  // What the program starts belongs to it: its process group is what the master stops as a whole.
  if (call(SYS_setsid) < 0) return false;
  if (call(SYS_prctl, PR_SET_PDEATHSIG, settings_->death_signal) != 0) return false;
  if (call(SYS_getppid) != settings_->master) return false;
  (void)call(SYS_close, settings_->channel);
  const long epoll = call(SYS_epoll_create1, EPOLL_CLOEXEC);
  if (epoll < 0) return false;
  epoll_ = static_cast<int>(epoll);
  bool good =
      watch(epoll_, settings_->signals, EPOLLIN, kSignalKey) && watch(epoll_, errand_->channel, EPOLLIN, kChannelKey);
  for (std::size_t i = 0; i < settings_->listener_count; ++i)
    good = good && watch(epoll_, settings_->listeners[i], EPOLLIN | EPOLLEXCLUSIVE, kFirstListenerKey + i);
  return good;
}

void Spare::turn() {
  std::array<epoll_event, 8> room{};
  const long count = call(SYS_epoll_pwait, epoll_, room.data(), room.size(), -1, nullptr, kSignalSetSize);
  if (count < 0) {
    if (count != -EINTR) over_ = true;
    return;
  }
  // Listeners first: nobody else has heard of their connection (EPOLLEXCLUSIVE), and what the channel says may be Stop.
  const auto events = std::span{room}.first(static_cast<std::size_t>(count));
  for (const epoll_event& event : events)
    if (event.data.u64 >= kFirstListenerKey && !over_) accept(settings_->listeners[event.data.u64 - kFirstListenerKey]);
  for (const epoll_event& event : events) {
    if (event.data.u64 == kSignalKey && !over_) read_signal();
    if (event.data.u64 == kChannelKey && !over_) read_channel();
  }
}

void Spare::read_signal() {
  signalfd_siginfo info{};
  if (call(SYS_read, settings_->signals, &info, sizeof info) != static_cast<long>(sizeof info)) return;
  std::array<char, 96> buffer{};
  Text text{buffer};
  text.add("SIGTERM from pid ").number(info.ssi_pid).add(" uid ").number(info.ssi_uid);
  (void)send(ipc::Tag::kRetiring, text.begin(),
             text.size());  // without it the master sees an exit that it did not ask for
  stop(true);
}

void Spare::read_channel() {
  while (!over_) {
    Packet packet{};
    const long size = receive(packet);
    if (size == -EAGAIN || size == -EINTR) return;
    if (size <= 0) return stop(false);  // the master is gone, or has given this spare up
    obey(packet, size);
  }
}

// Descriptors that come along are dropped: unix(7), SCM_RIGHTS without room.
long Spare::receive(Packet& packet) const {
  return call(SYS_recvfrom, errand_->channel, packet.data(), packet.size(), MSG_DONTWAIT, nullptr, nullptr);
}

void Spare::obey(const Packet& packet, long size) {
  if (size < 2 || packet[0] != ipc::kProtocolVersion) return;
  const auto tag = static_cast<ipc::Tag>(packet[1]);
  if (tag == ipc::Tag::kStop) {
    bool grace = false;  // the first of its numbers
    for (std::size_t i = 2; i < static_cast<std::size_t>(size) && i < 10; ++i) grace = grace || packet[i] != 0;
    stop(grace);
  } else if (tag == ipc::Tag::kProceed && size > 2) {
    answer_ = packet[2] != 0 ? Answer::kYes : Answer::kNo;
  }
}

// A connection may have come that only this worker was woken for (EPOLLEXCLUSIVE): it would wait for the next one.
void Spare::stop(bool look_once_more) {
  for (std::size_t i = 0; i < settings_->listener_count && look_once_more && !over_; ++i)
    accept(settings_->listeners[i]);
  over_ = true;
}

void Spare::accept(int listener) {
  SocketName peer{};
  socklen_t size = sizeof peer.storage;
  const long accepted = call(SYS_accept4, listener, &peer.any, &size, SOCK_CLOEXEC);
  if (is_passing(accepted)) return;
  if (accepted < 0) {
    std::array<char, 96> buffer{};
    Text text{buffer};
    text.add("cannot accept: errno ").number(static_cast<std::uint64_t>(-accepted)).add('\n');
    (void)call(SYS_write, errand_->errors, text.begin(), text.size());
    timespec pause{.tv_sec = 0, .tv_nsec = 100'000'000};  // memory may be free soon
    return wait_for(POLLIN, &pause);
  }
  const int connection = static_cast<int>(accepted);
  std::array<char, 64> buffer{};
  Text address{buffer};
  add_host(address, peer);
  answer_ = Answer::kNone;
  if (!send(ipc::Tag::kTaken, address.begin(), address.size())) {
    over_ = true;  // the master is gone, and with it everybody who could stop the program
    return;
  }
  if (may_proceed(address.begin())) return become(connection, peer, size);
  const linger reset{.l_onoff = 1, .l_linger = 0};
  (void)call(SYS_setsockopt, connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  (void)call(SYS_close, connection);
}

bool Spare::may_proceed(const char* address) {
  if (!settings_->asks_first || *address == '\0') return true;
  // worker/exec_connection.cpp, kLongestAsk. The kernel writes back what is left (poll(2)).
  timespec patience{.tv_sec = 1, .tv_nsec = 0};
  while (answer_ == Answer::kNone) {
    if (patience.tv_sec == 0 && patience.tv_nsec == 0) return true;
    wait_for(POLLIN, &patience);
    Packet packet{};
    const long size = receive(packet);
    if (size == -EAGAIN || size == -EINTR) continue;
    if (size <= 0) {
      over_ = true;
      return false;
    }
    // A Stop changes nothing for a connection that is held; a worker that may not have it goes.
    if (size >= 2 && packet[1] == static_cast<unsigned char>(ipc::Tag::kStop))
      over_ = true;
    else
      obey(packet, size);
  }
  return answer_ == Answer::kYes;
}

void Spare::become(int connection, const SocketName& peer, socklen_t peer_size) {
  lay_out_environment(connection, peer, peer_size);
  long error = call(SYS_dup3, connection, STDIN_FILENO, 0);
  if (error >= 0) error = call(SYS_dup3, connection, STDOUT_FILENO, 0);
  if (error >= 0) error = call(SYS_dup3, errand_->errors, STDERR_FILENO, 0);
  if (error >= 0) {
    // What was sent to a spare is not for the program. If that was the signal of the master's death, it is seen here.
    const timespec at_once{};
    while (call(SYS_rt_sigtimedwait, &kAllButTerm, nullptr, &at_once, kSignalSetSize) > 0) {
    }
    if (call(SYS_getppid) != settings_->master) {
      over_ = true;
      return;
    }
    const std::uint64_t none = 0;
    (void)call(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, kSignalSetSize);
    error = call(SYS_execve, settings_->path, settings_->arguments, errand_->environment);
  }
  std::array<char, 1024> buffer{};
  Text text{buffer};
  text.add("cannot execute \"").add(settings_->path).add("\": ");
  const char* reason = ::strerrordesc_np(static_cast<int>(-error));  // a table, no state
  if (reason != nullptr)
    text.add(reason);
  else
    text.add("errno ").number(static_cast<std::uint64_t>(-error));
  (void)send(ipc::Tag::kStartFailed, text.begin(), text.size());  // nobody else is left to be told
  status_ = kCannotExecute;
  over_ = true;
}

Text& Spare::begin_variable(Text& text, const char* name) {
  variables_[variable_count_++] = text.begin() + text.size();
  return text.add(name).add('=');
}

void Spare::lay_out_environment(int connection, const SocketName& peer, socklen_t peer_size) {
  Text text{errand_->variables};
  const auto add_number = [&](const char* name, std::uint64_t value) {
    begin_variable(text, name).number(value);
    end_variable(text);
  };
  const auto add_address = [&](const char* name, const SocketName& address, socklen_t size) {
    begin_variable(text, name);
    const std::size_t before = text.size();
    if (address.any.sa_family == AF_UNIX)
      add_path(text, address, size);
    else
      add_host(text, address);
    if (text.size() == before) --variable_count_;  // a socket without a name
    end_variable(text);
  };
  SocketName local{};
  socklen_t local_size = sizeof local.storage;
  const bool has_local = call(SYS_getsockname, connection, &local.any, &local_size) == 0;
  begin_variable(text, "PROTO").add(peer.any.sa_family == AF_UNIX ? "UNIX" : "TCP");
  end_variable(text);
  if (peer.any.sa_family == AF_UNIX) {
    if (has_local) add_address("UNIXLOCALPATH", local, local_size);
    add_address("UNIXREMOTEPATH", peer, peer_size);
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (call(SYS_getsockopt, connection, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
      add_number("UNIXREMOTEPID", static_cast<std::uint64_t>(credentials.pid));
      add_number("UNIXREMOTEEUID", credentials.uid);
      add_number("UNIXREMOTEEGID", credentials.gid);
    }
  } else {
    if (has_local) {
      add_address("TCPLOCALIP", local, local_size);
      add_number("TCPLOCALPORT", port_of(local));
    }
    add_address("TCPREMOTEIP", peer, peer_size);
    add_number("TCPREMOTEPORT", port_of(peer));
  }
  std::size_t count = 0;
  for (char* const* entry = settings_->environment; *entry != nullptr; ++entry)
    if (!is_replaced(*entry)) errand_->environment[count++] = *entry;
  for (std::size_t i = 0; i < variable_count_; ++i) errand_->environment[count++] = variables_[i];
  errand_->environment[count] = nullptr;
}

bool Spare::is_replaced(const char* entry) const {
  for (std::size_t i = 0; i < variable_count_; ++i) {
    const char* own = variables_[i];
    std::size_t same = 0;
    while (entry[same] != '\0' && entry[same] != '=' && entry[same] == own[same]) ++same;
    if (entry[same] == '=' && own[same] == '=') return true;
  }
  return false;
}

// Waits while the channel is full. False: the master is gone.
bool Spare::send(ipc::Tag tag, const char* text, std::size_t size) const {
  std::array<char, 1100> packet{};
  Text out{packet};
  out.add(static_cast<char>(ipc::kProtocolVersion)).add(static_cast<char>(tag)).add(text, size);
  while (true) {
    const long sent =
        call(SYS_sendto, errand_->channel, packet.data(), out.size(), MSG_NOSIGNAL | MSG_DONTWAIT, nullptr, 0);
    if (sent >= 0) return true;
    if (sent != -EAGAIN && sent != -EINTR) return false;
    wait_for(POLLOUT, nullptr);
  }
}

void Spare::wait_for(short events, timespec* patience) const {
  pollfd channel{.fd = errand_->channel, .events = events, .revents = 0};
  (void)call(SYS_ppoll, &channel, 1, patience, nullptr, kSignalSetSize);
}

}  // namespace

int live(void* errand) {
  const int status = Spare{*static_cast<Errand*>(errand)}.run();
  while (true) (void)call(SYS_exit_group, status);
}

}  // namespace prong::launch
