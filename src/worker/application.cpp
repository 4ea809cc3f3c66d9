#include "worker/application.hpp"

#include <cstdint>
#include <utility>
#include <variant>

#include "app/respond.hpp"
#include "app/static_files.hpp"

namespace prong::worker {
namespace {

struct Loader {
  Result<std::unique_ptr<http::Handler>> operator()(const config::StaticConfig& files) const {
    auto loaded =
        app::StaticFiles::create({.root = files.root, .index = files.index, .default_type = files.default_type});
    if (!loaded) return failure(std::move(loaded.error()));
    return std::move(*loaded);
  }
  Result<std::unique_ptr<http::Handler>> operator()(const config::RespondConfig& respond) const {
    return std::make_unique<app::Respond>(app::RespondSettings{
        .status = static_cast<std::uint16_t>(respond.status), .headers = respond.headers, .body = respond.body});
  }
};

}  // namespace

Result<std::unique_ptr<http::Handler>> load_application(const config::AppConfig& app) {
  return std::visit(Loader{}, app);
}

}  // namespace prong::worker
