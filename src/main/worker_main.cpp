#include "main/worker_main.hpp"

#include "worker/application.hpp"
#include "worker/module.hpp"
#include "worker/worker.hpp"

namespace prong {

int worker_main(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  return worker::run(
      inheritance, pool,
      {.application = worker::load_application, .streams = worker::load_streams, .module = worker::load_module});
}

}  // namespace prong
