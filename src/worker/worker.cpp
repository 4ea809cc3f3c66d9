#include "worker/worker.hpp"

#include <fmt/format.h>

#include <csignal>
#include <memory>
#include <utility>

#include "ipc/channel.hpp"
#include "log/log.hpp"
#include "worker/application.hpp"
#include "worker/child_setup.hpp"
#include "worker/event_loop.hpp"

namespace prong::worker {
namespace {

// Tells the master why, which tells the operator, once.
int give_up(const ipc::Channel& channel, const Error& error) {
  if (auto sent = channel.send(ipc::StartFailed{.reason = error.text()}); !sent)
    log::error("cannot start: {}", error.text());
  return 1;
}

}  // namespace

int run(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  ipc::Channel channel{os::UniqueFd{inheritance.channel_fd}};
  if (auto done = set_up_child(inheritance, pool); !done) return give_up(channel, done.error());
  auto application = load_application(pool.app);
  if (!application) return give_up(channel, application.error());
  auto loop = EventLoop::create(inheritance, pool, std::move(channel), **application);
  if (!loop) return give_up(ipc::Channel{}, loop.error());
  (*loop)->run();
  return 0;
}

}  // namespace prong::worker
