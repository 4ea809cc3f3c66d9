#include "worker/module.hpp"

#include <chrono>
#include <cstddef>
#include <utility>

#include "ipc/own_metrics.hpp"

namespace prong::worker {
namespace {

app::module::Model model_of(config::Concurrency concurrency) {
  switch (concurrency) {
    case config::Concurrency::kEvent:
      return app::module::Model::kEvent;
    case config::Concurrency::kThread:
      return app::module::Model::kThread;
    case config::Concurrency::kProcess:
      break;
  }
  return app::module::Model::kProcess;
}

app::module::Place place_of(const config::Position& position) {
  return {.file = position.file, .line = position.line, .column = position.column};
}

app::module::Settings settings_of(const config::PoolConfig& pool, const config::ModuleConfig& module,
                                  const ipc::Inheritance& inheritance) {
  app::module::Settings settings{.path = module.path,
                                 .protocol = module.protocol == config::ModuleProtocol::kStream
                                                 ? app::module::Protocol::kStream
                                                 : app::module::Protocol::kHttp,
                                 .model = model_of(pool.concurrency),
                                 .threads = pool.application_threads(),
                                 .pool = pool.name,
                                 .slot = inheritance.slot,
                                 .generation = inheritance.generation,
                                 .stream_buffer = static_cast<std::size_t>(pool.stream.buffer.bytes),
                                 .most_output = static_cast<std::size_t>(pool.stream.max_output.bytes)};
  for (const config::ModuleOption& option : module.options.entries)
    settings.options.push_back({.name = option.name, .value = option.value, .place = place_of(option.position)});
  for (const config::ModuleOptionList& list : module.options.lists)
    settings.lists.push_back(
        {.name = list.name, .size = list.size, .is_table = list.is_table, .place = place_of(list.position)});
  return settings;
}

ipc::MetricName name_of(const app::module::Metrics::Name& name) {
  return {.name = name.name, .labels = name.labels, .help = name.help};
}

// A module adds to the cells by atomic instructions of its compiler, as it would to a plain number.
static_assert(sizeof(std::atomic<std::uint64_t>) == sizeof(std::uint64_t));
static_assert(sizeof(std::atomic<std::int64_t>) == sizeof(std::int64_t));

app::module::Metrics metrics_of(const ipc::Scoreboard& scoreboard) {
  ipc::OwnMetrics* const own = scoreboard.own_metrics();
  if (own == nullptr) {
    const auto none = [](const app::module::Metrics::Name& /*name*/) {
      return failure("this worker's scoreboard has no room for metrics");
    };
    return {.counter = none, .gauge = none, .histogram = none};
  }
  return {.counter = [own](const app::module::Metrics::Name& name) -> Result<std::uint64_t*> {
            const auto cell = own->counter(name_of(name));
            if (!cell) return failure(cell.error());
            return reinterpret_cast<std::uint64_t*>(*cell);
          },
          .gauge = [own](const app::module::Metrics::Name& name) -> Result<std::int64_t*> {
            const auto cell = own->gauge(name_of(name));
            if (!cell) return failure(cell.error());
            return reinterpret_cast<std::int64_t*>(*cell);
          },
          .histogram = [own](const app::module::Metrics::Name& name) -> Result<void*> {
            const auto cells = own->histogram(name_of(name));
            if (!cells) return failure(cells.error());
            return *cells;
          },
          .observe =
              [](void* histogram, std::chrono::nanoseconds duration) {
                static_cast<ipc::SharedHistogram*>(histogram)->observe(duration);
              }};
}

}  // namespace

Result<std::unique_ptr<app::module::Runtime>> load_module(const config::PoolConfig& pool,
                                                          const config::ModuleConfig& module,
                                                          const ipc::Inheritance& inheritance,
                                                          const ipc::Scoreboard& scoreboard) {
  return app::module::Runtime::create(settings_of(pool, module, inheritance), metrics_of(scoreboard));
}

}  // namespace prong::worker
