// The control socket and its clients: bytes and lines. What a verb does is master_control.cpp's.
//
// A client is not trusted, although only root, the daemon's user and the configured group get this far: nothing here
// blocks, what is kept for one client is bounded ([control] max_line, and one answer), their number is, and each turn
// of the loop does a bounded amount for each. Runs in the master.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/config.hpp"
#include "net/listener.hpp"
#include "os/clock.hpp"
#include "os/epoll.hpp"
#include "os/unique_fd.hpp"

namespace prong::master {

class ControlServer {
 public:
  // Borrowed, and must outlive it. Its descriptors are watched with keys for which owns() is true.
  explicit ControlServer(os::Epoll& epoll) : epoll_(&epoll) {}
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;
  ~ControlServer() { close(); }
  [[nodiscard]] static bool owns(std::uint64_t key) { return (key & kKeyBit) != 0; }

  // The socket that a configuration wants, as a transaction: prepare() binds what is new and fails only when a path
  // that the configuration names cannot be bound; then one of commit() and roll_back().
  [[nodiscard]] Result<void> prepare(const config::ControlConfig& config);
  void commit();  // logs where the socket is, when that has changed, or why there is none
  void roll_back();
  // At the end of the daemon. Clients see the end of their connections.
  void close();

  void handle_event(std::uint64_t key, std::uint32_t events, os::TimePoint now);
  void handle_deadlines(os::TimePoint now);
  [[nodiscard]] std::optional<os::TimePoint> next_deadline() const;

  // What a client may ask for: anything, or only what changes nothing (ipc::only_looks()).
  enum class May : std::uint8_t { kAll, kLook };
  // A worker that has the other end of this socket pair asks over it, until it closes it. It is not counted in
  // max_clients and makes room for nobody, is not cut however long it is silent, and may only look.
  void admit_worker(os::UniqueFd fd, std::string by, os::TimePoint now);

  using ClientId = std::uint64_t;  // never used twice
  // A whole line of a client, which is not read from again until it was answered.
  struct Request {
    ClientId client = 0;
    std::string line;
    std::string by;  // "prongctl of pid 77 uid 0", for the log
    May may = May::kAll;
  };
  [[nodiscard]] std::optional<Request> take_request();
  // `line` has its line end. A client that has gone needs none. Ends hold().
  void answer(ClientId client, std::string line, os::TimePoint now);
  // Its answer, or the end of the daemon after it, takes its time: it is not cut meanwhile, nor for another client.
  void hold(ClientId client);

 private:
  static constexpr std::uint64_t kKeyBit = std::uint64_t{1} << 63U;
  static constexpr std::uint64_t kListenerKey = kKeyBit;

  struct Client {
    os::UniqueFd fd;
    std::string by;
    std::string input;   // of a line that is not whole yet, and what follows a whole one
    std::string output;  // what is left of the answer
    std::size_t sent = 0;
    bool asked = false;  // its line was taken and is not answered yet
    bool ended = false;  // it will send no more
    bool ends_after_answer = false;
    bool held = false;
    May may = May::kAll;
    std::uint32_t watched_for = 0;
    os::TimePoint since;  // the last thing that it did as it should

    [[nodiscard]] bool may_stay() const { return held || may == May::kLook; }
  };
  using Clients = std::map<ClientId, Client>;

  // What prepare() has found: the listener that commit() puts to use.
  struct Prepared {
    config::ControlConfig config;
    std::string path;                       // empty: no socket
    std::string why_none;                   // empty: it was not wanted
    std::optional<net::Listener> listener;  // nothing: the one in use stays, or none
    net::ListenOptions options;
    std::optional<gid_t> group;
  };

  [[nodiscard]] Result<void> bind(Prepared& prepared) const;
  void use(net::Listener listener);
  void stop_listening();
  void accept_clients(os::TimePoint now);
  void admit(os::UniqueFd fd, os::TimePoint now);
  void add(os::UniqueFd fd, Client client, os::TimePoint now);
  [[nodiscard]] Result<std::string> identify(int fd) const;
  [[nodiscard]] bool make_room();
  void read_from(Clients::iterator client, os::TimePoint now);
  void take_line(Clients::iterator client, os::TimePoint now);
  [[nodiscard]] static bool send_to(Client& client);
  void settle(Clients::iterator client, os::TimePoint now);
  void drop(Clients::iterator client);

  os::Epoll* epoll_;
  std::optional<Prepared> prepared_;
  config::ControlConfig config_;
  std::optional<gid_t> group_;
  std::string path_;      // of the listener
  std::string why_none_;  // as it was told
  std::optional<net::Listener> listener_;
  std::optional<os::TimePoint> accept_again_;  // not watched until then: no descriptor was free
  std::uint64_t last_client_ = kListenerKey;
  Clients clients_;
  std::vector<Request> requests_;
};

}  // namespace prong::master
