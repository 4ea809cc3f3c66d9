#include "worker/application.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "app/echo.hpp"
#include "app/path_router.hpp"
#include "app/respond.hpp"
#include "app/static_files.hpp"
#include "app/status/status_pages.hpp"
#include "os/process.hpp"

namespace prong::worker {
namespace {

// Of the descriptors that a worker may have; the rest is for connections and for files that are being sent.
constexpr std::size_t kCacheShareOfDescriptors = 4;

os::Links links_of(config::Symlinks symlinks) {
  switch (symlinks) {
    case config::Symlinks::kNever:
      return os::Links::kNone;
    case config::Symlinks::kInside:
      return os::Links::kBeneath;
    case config::Symlinks::kAnywhere:
      break;
  }
  return os::Links::kAnywhere;
}

// By the names that config/check.cpp lets through.
std::vector<app::Coding> codings_of(const std::vector<std::string>& names) {
  std::vector<app::Coding> codings;
  for (const app::Coding coding : {app::Coding::kBrotli, app::Coding::kZstandard, app::Coding::kGzip})
    if (std::ranges::find(names, app::name_of(coding)) != names.end()) codings.push_back(coding);
  std::ranges::sort(codings, {}, [&](app::Coding coding) { return std::ranges::find(names, app::name_of(coding)); });
  return codings;
}

app::StaticSettings settings_of(const config::StaticConfig& files) {
  return {.root = files.root,
          .index = files.index,
          .default_type = files.default_type,
          .mime_types = files.mime_types,
          .listing = files.listing,
          .fallback = files.fallback,
          .links = links_of(files.symlinks),
          .precompressed = codings_of(files.precompressed),
          .cache_control = files.cache_control,
          .error_pages = files.error_pages,
          .cache_ttl = files.cache_ttl,
          .cache_entries = files.cache_entries,
          .cache_descriptors =
              std::min<std::size_t>(files.cache_entries, os::descriptor_limit() / kCacheShareOfDescriptors),
          .cache_file_size = files.cache_file_size,
          .cache_memory = files.cache_memory};
}

struct Loader {
  Surroundings surroundings;

  Result<std::unique_ptr<http::Handler>> operator()(const config::StaticConfig& files) const {
    auto loaded = app::StaticFiles::create(settings_of(files));
    if (!loaded) return failure(std::move(loaded.error()));
    return std::move(*loaded);
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::ExecConfig& /*exec*/) const {
    return failure("a program answers no requests");  // worker.cpp never gets here with one
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::WsgiConfig& /*wsgi*/) const {
    return failure("a Python application runs in its interpreter");  // worker.cpp never gets here with one
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::ModuleConfig& /*module*/) const {
    if (surroundings.module == nullptr) return failure("the module is not loaded");
    return surroundings.module->make_handler();
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::RespondConfig& respond) const {
    return std::make_unique<app::Respond>(app::RespondSettings{
        .status = static_cast<std::uint16_t>(respond.status), .headers = respond.headers, .body = respond.body});
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::EchoConfig& /*app*/) const {
    return failure("the application runs on streams, and answers no requests");
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::StatusConfig& /*status*/) const {
    if (surroundings.master == nullptr) return failure("there is no connection to the master");
    return std::make_unique<app::StatusPages>(*surroundings.master);
  }
};

struct StreamLoader {
  Surroundings surroundings;

  template <class HttpConfig>
  Result<std::unique_ptr<app::StreamHandler>> operator()(const HttpConfig& /*app*/) const {
    return failure("the application answers requests, and is no application of streams");
  }
  Result<std::unique_ptr<app::StreamHandler>> operator()(const config::ModuleConfig& /*module*/) const {
    if (surroundings.module == nullptr) return failure("the module is not loaded");
    return surroundings.module->make_streams();
  }
  Result<std::unique_ptr<app::StreamHandler>> operator()(const config::EchoConfig& /*app*/) const {
    return std::make_unique<app::Echo>();
  }
};

}  // namespace

Result<std::unique_ptr<http::Handler>> load_application(const config::AppConfig& app,
                                                        const Surroundings& surroundings) {
  return std::visit(Loader{.surroundings = surroundings}, app);
}

Result<std::unique_ptr<app::StreamHandler>> load_streams(const config::AppConfig& app,
                                                         const Surroundings& surroundings) {
  return std::visit(StreamLoader{.surroundings = surroundings}, app);
}

Result<std::unique_ptr<http::Handler>> load_router(const config::PoolConfig& pool, http::Handler& application) {
  if (pool.static_map.empty() && pool.path_prefix.empty()) return nullptr;
  app::PathRouter::Settings settings{.path_prefix = pool.path_prefix};
  for (const auto& [prefix, folder] : pool.static_map) {
    app::StaticSettings files = settings_of(config::StaticConfig{.root = folder});
    files.cache_descriptors /= pool.static_map.size();
    auto loaded = app::StaticFiles::create(std::move(files));
    if (!loaded) return failure(std::move(loaded.error()));
    settings.folders.push_back({.prefix = prefix, .files = std::move(*loaded)});
  }
  return std::make_unique<app::PathRouter>(application, std::move(settings));
}

}  // namespace prong::worker
