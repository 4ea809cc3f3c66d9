// prongd-launch: the launcher of a pool of programs in style "connection". It forks the pool's spare workers.
//
// Why there is one: a fork copies the page tables of whoever forks, and an exec takes the copy down again. The master
// has some hundred mappings; this is a static program without a heap, and its spares do not even copy: they share its
// memory (CLONE_VM) until they exec. Measured on 2 cores with cat: fork and exit of prongd 330 us, of this 20 us.
//
// prongd forks it once for a pool and generation, sets it up as it sets up a worker (user, limits, directory), checks
// the program and becomes this one; ipc/launch.hpp has what is said from there on. Spares are children of the master
// (CLONE_PARENT), which supervises them like all others. The launcher knows nothing of them afterwards and has no state
// that matters: it can be killed at any time.
//
// Refused: a fork of the master that becomes a small static program for each spare (posix_spawn). It needs no process
// of its own, but costs another exec for every connection: 77 us at the least, and 380 us with the C library, whose
// start asks the CPU for its features.
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "launch/call.hpp"
#include "launch/spare.hpp"

namespace {

using namespace prong;
using namespace prong::launch;

// The memory of a spare, from its birth to its exec or end.
struct Place {
  // The pid of the spare that has it, 0 when it is free. The kernel clears it at the spare's exec or end
  // (CLONE_CHILD_CLEARTID of clone(2)).
  pid_t owner = 0;
  Errand errand = {};
  // The chain of calls in spare.cpp needs 4 KiB of it at the most.
  alignas(16) std::array<char, 16'384> stack{};
};

// A spare that finds no place gets memory of its own, as with fork(2), and uses its copy of the last one.
constexpr std::size_t kPlaces = 64;
// NOLINTNEXTLINE(cppcoreguidelines-avoid-non-const-global-variables): all that the launcher is about
constinit std::array<Place, kPlaces + 1> places;
constexpr std::size_t kForkPlace = kPlaces;

bool read_numbers(const char* text, Settings& settings) {
  std::array<long, ipc::kLaunchNumbers + ipc::kMostLaunchListeners> numbers{};
  std::size_t count = 0;
  for (char* end = nullptr; *text != '\0' && count < numbers.size(); text = end) {
    numbers[count++] = std::strtol(text, &end, 10);
    if (end == text) return false;
    while (*end == ' ') ++end;
  }
  const auto number = [&](ipc::LaunchNumber which) {
    return static_cast<int>(numbers[static_cast<std::size_t>(which)]);
  };
  if (count < ipc::kLaunchNumbers || number(ipc::LaunchNumber::kVersion) != ipc::kLaunchVersion) return false;
  settings.channel = number(ipc::LaunchNumber::kChannel);
  settings.master = number(ipc::LaunchNumber::kMaster);
  settings.death_signal = number(ipc::LaunchNumber::kDeathSignal);
  settings.asks_first = number(ipc::LaunchNumber::kAsksFirst) != 0;
  settings.listener_count = static_cast<std::size_t>(number(ipc::LaunchNumber::kListeners));
  if (count != ipc::kLaunchNumbers + settings.listener_count) return false;
  for (std::size_t i = 0; i < settings.listener_count; ++i)
    settings.listeners[i] = static_cast<int>(numbers[ipc::kLaunchNumbers + i]);
  return true;
}

bool set_up(Settings& settings) {
  // A program of the same user could change what is in its memory (ptrace(2), PTRACE_MODE_ATTACH).
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return false;
  (void)::prctl(PR_SET_NAME, "prongd-launch");
  // Nothing but the master ends it. Spares read SIGTERM from the descriptor.
  sigset_t set;
  sigfillset(&set);
  if (::sigprocmask(SIG_SETMASK, &set, nullptr) != 0) return false;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  settings.signals = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (settings.signals < 0) return false;
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != settings.master) return false;
  bool good = ::fcntl(settings.channel, F_SETFD, FD_CLOEXEC) == 0 && ::fcntl(settings.channel, F_SETFL, 0) == 0;
  for (std::size_t i = 0; i < settings.listener_count; ++i)
    good = good && ::fcntl(settings.listeners[i], F_SETFD, FD_CLOEXEC) == 0;
  return good;
}

// The arrays in which spares lay out the environment, one for each place.
bool make_room(const Settings& settings) {
  std::size_t variables = 0;
  while (settings.environment[variables] != nullptr) ++variables;
  const std::size_t each = variables + kMostVariables + 1;
  void* memory =
      ::mmap(nullptr, each * (kPlaces + 1) * sizeof(char*), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  for (std::size_t i = 0; i <= kPlaces; ++i)
    places[i].errand.environment = static_cast<const char**>(memory) + i * each;
  return true;
}

// The first that is free: few are in use, so that few pages are touched.
std::size_t free_place() {
  std::size_t i = 0;
  while (i < kPlaces && __atomic_load_n(&places[i].owner, __ATOMIC_ACQUIRE) != 0) ++i;
  return kSharesMemory ? i : kForkPlace;
}

using Fds = std::array<int, 2>;

// The pid, or -errno.
pid_t make_spare(const Settings& settings, const Fds& fds) {
  const std::size_t number = free_place();
  Place& place = places[number];
  place.errand.settings = &settings;
  place.errand.channel = fds[0];
  place.errand.errors = fds[1];
  // A child of our parent, which is told of its end as it is of ours (clone(2)).
  int flags = CLONE_PARENT | SIGCHLD;
  if (number != kForkPlace) {
    __atomic_store_n(&place.owner, 1, __ATOMIC_RELEASE);
    flags |= CLONE_VM | CLONE_CHILD_CLEARTID;
  }
  const pid_t pid =
      ::clone(live, place.stack.data() + place.stack.size(), flags, &place.errand, nullptr, nullptr, &place.owner);
  if (pid > 0) return pid;
  place.owner = 0;
  return -errno;
}

struct Received {
  ssize_t size = 0;  // 0: the master is gone
  ipc::LaunchOrder order;
  Fds fds{-1, -1};
  bool complete = false;
};

Received receive(int channel) {
  Received received;
  iovec part{.iov_base = &received.order, .iov_len = sizeof received.order};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof received.fds)> control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  received.size = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  const cmsghdr* header = received.size > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return received;
  const std::size_t size = std::min(header->cmsg_len - CMSG_LEN(0), sizeof received.fds);
  std::memcpy(received.fds.data(), CMSG_DATA(header), size);
  received.complete = size == sizeof received.fds && received.size == static_cast<ssize_t>(sizeof received.order);
  return received;
}

bool report(int channel, std::uint32_t number, pid_t pid) {
  const ipc::LaunchReport report{.magic = ipc::kLaunchMagic, .number = number, .pid = pid};
  return ::send(channel, &report, sizeof report, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof report);
}

int serve(const Settings& settings) {
  bool heard = report(settings.channel, 0, 0);
  while (heard) {
    const Received received = receive(settings.channel);
    if (received.size == 0 || (received.size < 0 && errno != EINTR)) return 0;
    if (received.size < 0) continue;
    // The limit of descriptors is the only reason for less than two.
    const pid_t pid = received.complete ? make_spare(settings, received.fds) : -EMFILE;
    for (const int fd : received.fds)
      if (fd >= 0) (void)::close(fd);
    heard = report(settings.channel, received.order.number, pid);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  if (argc < 4 || !read_numbers(argv[1], settings)) {
    constexpr std::string_view kText = "prongd-launch: is started by prongd of the same version, and by nobody else\n";
    return ::write(STDERR_FILENO, kText.data(), kText.size()) >= 0 ? 2 : 1;
  }
  settings.path = argv[2];
  settings.arguments = argv + 3;
  settings.environment = environ;
  return set_up(settings) && make_room(settings) ? serve(settings) : 1;
}
