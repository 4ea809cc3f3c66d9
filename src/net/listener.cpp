#include "net/listener.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "os/socket.hpp"

namespace prong::net {
namespace {

int as_int(std::uint64_t value) {
  return static_cast<int>(std::min<std::uint64_t>(value, 0x7fffffff));
}

// Options that may change while the socket listens. Accepted sockets inherit them (tcp(7), socket(7)).
Result<void> set_live_options(int fd, int family, const ListenOptions& options) {
  const bool tcp = family != AF_UNIX;
  struct Option {
    bool wanted;
    int level;
    int option;
    const char* name;
    int value;
  };
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.defer_accept).count();
  const std::array<Option, 5> wanted{{
      {tcp, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE", options.keepalive ? 1 : 0},
      {tcp, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY", options.nodelay ? 1 : 0},
      {tcp, IPPROTO_TCP, TCP_DEFER_ACCEPT, "TCP_DEFER_ACCEPT", as_int(static_cast<std::uint64_t>(seconds))},
      {options.receive_buffer.has_value(), SOL_SOCKET, SO_RCVBUF, "SO_RCVBUF",
       as_int(options.receive_buffer.value_or(ByteSize{}).bytes)},
      {options.send_buffer.has_value(), SOL_SOCKET, SO_SNDBUF, "SO_SNDBUF",
       as_int(options.send_buffer.value_or(ByteSize{}).bytes)},
  }};
  for (const Option& option : wanted) {
    if (!option.wanted) continue;
    if (auto set = os::set_option(fd, option.level, option.option, option.name, option.value); !set) return set;
  }
  return {};
}

Result<void> set_bind_options(int fd, int family, const ListenOptions& options) {
  if (family == AF_UNIX) return {};
  if (auto set = os::set_option(fd, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR", options.reuse_address ? 1 : 0); !set)
    return set;
  if (family == AF_INET6) {
    if (auto set = os::set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY", options.v6only ? 1 : 0); !set)
      return set;
  }
  if (!options.free_bind) return {};
  return os::set_option(fd, IPPROTO_IP, IP_FREEBIND, "IP_FREEBIND", 1);
}

std::string bind_hint(int error, const Address& address) {
  switch (error) {
    case EACCES:
      return address.kind == AddressKind::kTcp
                 ? "a port below net.ipv4.ip_unprivileged_port_start needs root or CAP_NET_BIND_SERVICE"
                 : "the folder must be writable for the user that starts prongd";
    case EADDRINUSE:
      return address.kind == AddressKind::kTcp ? "another program listens there; `ss -ltnp` shows which"
                                               : "another program listens there";
    case EADDRNOTAVAIL:
      return "no interface has this address; `free_bind = true` binds it all the same";
    case ENOENT:
      return "the folder does not exist";
    default:
      return {};
  }
}

Error bind_error(const Address& address, int error) {
  return system_error(fmt::format("cannot bind \"{}\"", address.text), error, bind_hint(error, address));
}

// umask(2) for the time of a bind: the socket file must never be open to more than its mode says.
class UmaskGuard {
 public:
  explicit UmaskGuard(mode_t mask) : before_(::umask(mask)) {}
  ~UmaskGuard() { (void)::umask(before_); }
  UmaskGuard(const UmaskGuard&) = delete;
  UmaskGuard& operator=(const UmaskGuard&) = delete;

 private:
  mode_t before_;
};

// True when a program accepts on the socket file. Only a refused connection proves that nobody does.
bool is_live(const Address& address) {
  auto probe = os::make_socket(AF_UNIX, SOCK_STREAM);
  if (!probe) return true;
  auto connected = os::connect_socket(probe->get(), address.socket);
  return connected || connected.error().error_number != ECONNREFUSED;
}

Result<void> remove_stale_file(const Address& address) {
  struct stat status{};
  if (::lstat(address.name.c_str(), &status) != 0) return {};  // nothing there, or bind() will tell
  if (!S_ISSOCK(status.st_mode))
    return failure(fmt::format("cannot bind \"{}\": the file exists and is not a socket", address.text),
                   "prongd removes only stale sockets; move the file away");
  if (is_live(address)) return failure(bind_error(address, EADDRINUSE));
  if (::unlink(address.name.c_str()) != 0 && errno != ENOENT)
    return failure(system_error(fmt::format("cannot remove the stale socket \"{}\"", address.name), errno));
  return {};
}

}  // namespace

Result<Listener> Listener::open(const Address& address, const ListenOptions& options) {
  Listener listener{address, options};
  if (auto bound = listener.bind_and_listen(); !bound) {
    listener.unlink();
    return failure(std::move(bound.error()));
  }
  return listener;
}

Result<void> Listener::bind_and_listen() {
  const int family = address_.socket.family();
  auto socket = os::make_socket(family, SOCK_STREAM);
  if (!socket) return failure(fmt::format("cannot listen on \"{}\"", address_.text), std::move(socket.error()));
  const int fd = socket->get();
  sockets_.push_back(std::move(*socket));
  if (auto set = set_bind_options(fd, family, options_); !set)
    return failure(fmt::format("cannot listen on \"{}\"", address_.text), std::move(set.error()));
  auto bound = address_.kind == AddressKind::kUnixPath ? bind_unix_path(fd) : os::bind_socket(fd, address_.socket);
  if (!bound) {
    if (bound.error().error_number == 0 || !bound.error().hint.empty()) return bound;
    return failure(bind_error(address_, bound.error().error_number));
  }
  if (auto set = set_live_options(fd, family, options_); !set)
    return failure(fmt::format("cannot listen on \"{}\"", address_.text), std::move(set.error()));
  auto listening = os::listen_on(fd, as_int(options_.backlog));
  // EADDRINUSE may come as late as this, when two sockets with SO_REUSEADDR were bound to one address.
  if (!listening) return failure(bind_error(address_, listening.error().error_number));
  return {};
}

Result<void> Listener::bind_unix_path(int fd) {
  if (auto removed = remove_stale_file(address_); !removed) return removed;
  {
    const UmaskGuard born_with_its_mode{~options_.mode & 0777U};
    if (auto bound = os::bind_socket(fd, address_.socket); !bound)
      return failure(bind_error(address_, bound.error().error_number));
  }
  file_ = identify(address_.name);
  return set_owner();
}

Result<void> Listener::set_owner() const {
  if (!options_.owner && !options_.group) return {};
  constexpr auto kUnchanged = static_cast<uid_t>(-1);
  const char* path = address_.name.c_str();
  if (::lchown(path, options_.owner.value_or(kUnchanged), options_.group.value_or(kUnchanged)) != 0)
    return failure(system_error(fmt::format("cannot change the owner of \"{}\"", path), errno,
                                "only root may give files away (chown(2))"));
  return {};
}

Result<void> Listener::update_file() const {
  const char* path = address_.name.c_str();
  // Whoever took the file's place keeps his own.
  if (!file_ || identify(address_.name) != file_) return failure(fmt::format("\"{}\" is not our file any more", path));
  if (auto set = set_owner(); !set) return set;
  if (::fchmodat(AT_FDCWD, path, options_.mode, AT_SYMLINK_NOFOLLOW) != 0)
    return failure(system_error(fmt::format("cannot change the mode of \"{}\"", path), errno));
  return {};
}

Result<Listener> Listener::adopt(const Address& address, std::vector<os::UniqueFd> sockets,
                                 const ListenOptions& options) {
  Listener listener{address, options};
  for (const os::UniqueFd& socket : sockets) {
    const auto listening = os::get_option(socket.get(), SOL_SOCKET, SO_ACCEPTCONN);
    const auto type = os::get_option(socket.get(), SOL_SOCKET, SO_TYPE);
    if (!listening || *listening != 1 || !type || *type != SOCK_STREAM)
      return failure(fmt::format("\"{}\" is not a listening stream socket", address.text),
                     "the socket unit needs ListenStream= and Accept=no");
  }
  listener.sockets_ = std::move(sockets);
  // Options of a socket that systemd made are the socket unit's business (systemd.socket(5)).
  return listener;
}

Result<void> Listener::can_update(const ListenOptions& options) const {
  const bool tcp = address_.kind == AddressKind::kTcp;
  const auto refuse = [this](std::string_view key) {
    return failure(fmt::format("\"{}\": {} cannot change while the socket is bound", address_.text, key),
                   "restart prongd, or listen on another address");
  };
  if (tcp && options.v6only != options_.v6only) return refuse("v6only");
  if (tcp && options.free_bind != options_.free_bind) return refuse("free_bind");
  if (tcp && options.reuse_address != options_.reuse_address) return refuse("reuse_address");
  return {};
}

Result<void> Listener::update(const ListenOptions& options) {
  if (options == options_ || address_.kind == AddressKind::kSystemd) return {};
  const ListenOptions before = std::exchange(options_, options);
  auto updated = apply_live_options();
  if (!updated) options_ = before;  // asked again, it is tried again
  return updated;
}

Result<void> Listener::apply_live_options() const {
  for (const os::UniqueFd& socket : sockets_) {
    if (auto set = set_live_options(socket.get(), address_.socket.family(), options_); !set) return set;
    // Listening again changes the limit of the queue and nothing else (listen(2) on Linux).
    if (auto listening = os::listen_on(socket.get(), as_int(options_.backlog)); !listening) return listening;
  }
  return address_.kind == AddressKind::kUnixPath ? update_file() : Result<void>{};
}

std::optional<Listener::FileIdentity> Listener::identify(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) return std::nullopt;
  return FileIdentity{.device = status.st_dev, .inode = status.st_ino};
}

void Listener::unlink() {
  if (!file_) return;
  if (identify(address_.name) == file_) (void)::unlink(address_.name.c_str());  // gone already is as good
  file_.reset();
}

std::string Listener::bound_text() const {
  if (address_.kind == AddressKind::kUnixPath || address_.kind == AddressKind::kUnixAbstract) return address_.text;
  std::string text;
  for (const os::UniqueFd& socket : sockets_) {
    const auto local = os::local_address(socket.get());
    if (!text.empty()) text += ", ";
    text += local ? to_text(*local) : address_.text;
  }
  return address_.kind == AddressKind::kSystemd ? fmt::format("{} ({})", address_.text, text) : text;
}

std::vector<int> Listener::descriptors() const {
  std::vector<int> fds;
  fds.reserve(sockets_.size());
  for (const os::UniqueFd& socket : sockets_) fds.push_back(socket.get());
  return fds;
}

std::optional<std::string> backlog_warning(const ListenOptions& options) {
  const auto most = os::somaxconn();
  if (!most || options.backlog <= *most) return std::nullopt;
  return fmt::format("the kernel cuts backlog {} to {}; raise net.core.somaxconn to have it whole", options.backlog,
                     *most);
}

}  // namespace prong::net
