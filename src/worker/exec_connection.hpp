// A spare worker of an exec pool in style "connection": waits for one connection and becomes the program that serves
// it. The master forks these while a generation is raised, to have the program checked, and whenever a pool has no
// launcher; most spares of a pool that serves are made by it (launch/spare.hpp), and do the same.
//
// A client waits from the accept on, so what lies between it and the exec is short: two system calls that ask about the
// connection, Taken, three descriptors put in place, the signal mask. The waiting worker has everything else already as
// the program shall find it: dispositions (child_setup catches instead of ignoring), descriptors that the exec closes,
// the signal of its parent's death.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/program.hpp"
#include "base/error.hpp"
#include "config/config.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"
#include "os/epoll.hpp"
#include "os/signals.hpp"
#include "os/socket.hpp"
#include "os/unique_fd.hpp"

namespace prong::worker {

class ConnectionWorker {
 public:
  // Borrows the channel. Takes the inherited listeners over.
  [[nodiscard]] static Result<ConnectionWorker> create(const ipc::Inheritance& inheritance,
                                                       const config::ExecConfig& exec, ipc::Channel& channel,
                                                       app::Program program);

  // Says Ready and waits. Returns when it is to stop, or when the program could not be executed: the exit status.
  [[nodiscard]] int run();

 private:
  ConnectionWorker(const ipc::Inheritance& inheritance, const config::ExecConfig& exec, ipc::Channel& channel,
                   app::Program program, os::Epoll epoll, os::SignalFd signals);
  struct Connection {
    os::Accepted accepted;
    std::vector<app::Variable> variables;
  };

  void turn();
  void read_signals();
  void read_channel();
  void obey(ipc::Channel::Received received);
  void serve();
  void stop(bool look_once_more);

  // Accepts one connection if there is one; after it the worker is the program, or has to go.
  void accept(const os::UniqueFd& listener);
  // Whether the master lets it have that connection (max_per_address).
  [[nodiscard]] bool may_proceed(const std::string& address);
  void become(Connection connection);

  std::vector<os::UniqueFd> listeners_;
  int stderr_fd_;
  bool asks_first_;
  ipc::WorkerCell* cell_;
  ipc::Channel* channel_;
  app::Program program_;
  os::Epoll epoll_;
  os::SignalFd signals_;
  bool serving_ = false;
  bool over_ = false;
  int status_ = 0;
  std::optional<bool> allowed_;  // what Proceed said
};

}  // namespace prong::worker
