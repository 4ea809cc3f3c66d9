#include "main/worker_main.hpp"

#include "worker/application.hpp"
#include "worker/worker.hpp"

namespace prong {

int worker_main(const ipc::Inheritance& inheritance, const config::PoolConfig& pool) {
  return worker::run(inheritance, pool, worker::load_application, worker::load_streams);
}

}  // namespace prong
