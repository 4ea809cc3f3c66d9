#include "worker/exec_worker.hpp"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "app/program.hpp"
#include "app/ucspi.hpp"
#include "os/execute.hpp"
#include "worker/exec_connection.hpp"
#include "worker/exec_launcher.hpp"
#include "worker/exec_listener.hpp"

namespace prong::worker {
namespace {

app::ProgramSettings settings_of(const ipc::Inheritance& inheritance, const config::PoolConfig& pool,
                                 const config::ExecConfig& exec) {
  app::ProgramSettings settings{.command = exec.command, .env = exec.env, .pass_env = exec.pass_env, .user = {}};
  if (!pool.user.empty() && inheritance.identity) settings.user = inheritance.identity->user;
  return settings;
}

}  // namespace

Result<int> run_program(const ipc::Inheritance& inheritance, const config::PoolConfig& pool,
                        const config::ExecConfig& exec, ipc::Channel& channel) {
  if (auto entered = os::change_directory(exec.cwd); !entered) return failure(std::move(entered.error()));
  auto program = app::Program::prepare(settings_of(inheritance, pool, exec), environ, app::kMostUcspiVariables);
  if (!program) return failure(std::move(program.error()));
  switch (exec.style) {
    case config::ExecStyle::kConnection: {
      if (inheritance.launcher_fd >= 0)
        return failure(become_launcher(inheritance, exec, channel, *std::move(program)));
      auto worker = ConnectionWorker::create(inheritance, exec, channel, *std::move(program));
      if (!worker) return failure(std::move(worker.error()));
      return worker->run();
    }
    case config::ExecStyle::kListener:
      break;
  }
  return become_listener(inheritance, channel, *std::move(program));
}

Result<void> send_surely(const ipc::Channel& channel, const ipc::Message& message) {
  while (true) {
    auto sent = channel.send(message);
    if (sent || sent.error().error_number != EAGAIN) return sent;
    pollfd writable{.fd = channel.fd(), .events = POLLOUT, .revents = 0};
    (void)::poll(&writable, 1, -1);  // the end of the channel wakes it too
  }
}

}  // namespace prong::worker
