// A worker of a wsgi pool becomes the user's Python interpreter, which loads this same code as an extension module and
// goes on where the fork left off (design.md section 7).
#pragma once

#include <memory>
#include <optional>

#include "base/error.hpp"
#include "config/config.hpp"
#include "ipc/channel.hpp"
#include "ipc/inheritance.hpp"

namespace prong::worker {

// After child_setup. Returns only when it failed; what then goes wrong inside the interpreter is told by its own side.
[[nodiscard]] Error become_interpreter(const ipc::Inheritance& inheritance, const config::PoolConfig& pool,
                                       const config::WsgiConfig& wsgi, ipc::Channel& channel);

// What the interpreter's side goes on with. Lives as long as the worker.
struct Resumed {
  ipc::Inheritance inheritance;
  std::shared_ptr<const config::Config> config;  // with one pool

  [[nodiscard]] const config::PoolConfig& pool() const { return config->pools.front(); }
};
// In the interpreter, on its main thread, before there is another: the record behind that descriptor. The log works
// after it, signals are as docs/signals.md says, children that the application forks are isolated.
[[nodiscard]] Result<Resumed> resume_worker(int record_fd);

}  // namespace prong::worker
