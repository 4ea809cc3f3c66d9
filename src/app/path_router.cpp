#include "app/path_router.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "app/url_path.hpp"
#include "http/response.hpp"

namespace prong::app {
namespace {

constexpr std::uint16_t kNotFound = 404;

void drop_last_slash(std::string& prefix) {
  if (prefix.ends_with('/')) prefix.pop_back();
}

http::Request seen_below(const http::Request& request, std::string_view prefix, std::string_view path) {
  http::Request seen = request;
  seen.prefix = prefix;
  seen.path = path;
  return seen;
}

}  // namespace

PathRouter::PathRouter(http::Handler& application, Settings settings)
    : application_(&application), settings_(std::move(settings)) {
  drop_last_slash(settings_.path_prefix);
  for (Folder& folder : settings_.folders) drop_last_slash(folder.prefix);
  std::ranges::sort(settings_.folders, std::ranges::greater{},
                    [](const Folder& folder) { return folder.prefix.size(); });
}

std::unique_ptr<http::BodySink> PathRouter::body_sink(const http::Request& request) {
  const std::optional<Route> found = route(request.path);
  return found ? found->handler->body_sink(seen_below(request, found->prefix, found->path)) : nullptr;
}

http::BodyUse PathRouter::body_use(const http::Request& request) {
  const std::optional<Route> found = route(request.path);
  return found ? found->handler->body_use(seen_below(request, found->prefix, found->path)) : http::BodyUse::kDrop;
}

http::Answer PathRouter::handle(const http::Request& request) {
  const std::optional<Route> found = route(request.path);
  if (!found) return http::error_response(kNotFound);
  return found->handler->handle(seen_below(request, found->prefix, found->path));
}

std::optional<PathRouter::Route> PathRouter::route(std::string_view path) {
  if (!settings_.folders.empty())
    if (auto found = route_to_folder(path)) return found;
  const auto size = prefix_size(path, settings_.path_prefix);
  if (!size && !settings_.path_prefix.empty()) return std::nullopt;
  return Route{
      .handler = application_, .prefix = path.substr(0, size.value_or(0)), .path = path.substr(size.value_or(0))};
}

std::optional<PathRouter::Route> PathRouter::route_to_folder(std::string_view path) {
  const auto below = [](const Folder& folder, std::string_view whole) {
    return Route{.handler = folder.files.get(),
                 .prefix = whole.substr(0, folder.prefix.size()),
                 .path = whole.substr(folder.prefix.size())};
  };
  const bool is_plain = plain_name(path).has_value();
  const auto normal = is_plain ? std::unexpected(PathError::kMalformed) : normal_url_path(path);
  if (!normal) {
    const Folder* const folder = folder_of(path);
    return folder == nullptr ? std::nullopt : std::optional(below(*folder, path));
  }
  scratch_ = '/';
  scratch_ += normal->name;
  const Folder* const folder = folder_of(scratch_);
  if (folder == nullptr) return std::nullopt;
  // Encoded again, for who takes it from here to decode.
  scratch_ = '/';
  append_encoded(scratch_, std::string_view(folder->prefix).substr(1));
  const std::size_t prefix_end = scratch_.size();
  append_encoded(scratch_, std::string_view(normal->name).substr(folder->prefix.size() - 1));
  if (normal->wants_directory) scratch_ += '/';
  return Route{.handler = folder->files.get(),
               .prefix = std::string_view(scratch_).substr(0, prefix_end),
               .path = std::string_view(scratch_).substr(prefix_end)};
}

// The longest prefix comes first.
const PathRouter::Folder* PathRouter::folder_of(std::string_view path) const {
  const auto found = std::ranges::find_if(settings_.folders, [path](const Folder& folder) {
    const std::size_t size = folder.prefix.size();
    return path.starts_with(folder.prefix) && (path.size() == size || path[size] == '/');
  });
  return found == settings_.folders.end() ? nullptr : &*found;
}

http::DescriptorNeeds PathRouter::descriptor_needs() const {
  http::DescriptorNeeds needs = application_->descriptor_needs();
  for (const Folder& folder : settings_.folders) {
    const http::DescriptorNeeds each = folder.files->descriptor_needs();
    needs.held += each.held;
    needs.per_answer = std::max(needs.per_answer, each.per_answer);
  }
  return needs;
}

std::optional<os::TimePoint> PathRouter::do_housekeeping(os::TimePoint now) {
  std::optional<os::TimePoint> nearest = application_->do_housekeeping(now);
  for (const Folder& folder : settings_.folders) {
    const std::optional<os::TimePoint> due = folder.files->do_housekeeping(now);
    if (due && (!nearest || *due < *nearest)) nearest = due;
  }
  return nearest;
}

}  // namespace prong::app
