#include "app/static_files.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <ctime>
#include <utility>

#include "app/conditional.hpp"
#include "app/mime_types.hpp"
#include "http/date.hpp"
#include "http/response.hpp"

namespace prong::app {
namespace {

using http::FileBody;
using http::Request;
using http::Response;

constexpr std::uint16_t kOk = 200;
constexpr std::uint16_t kMovedPermanently = 301;
constexpr std::uint16_t kForbidden = 403;
constexpr std::uint16_t kNotFound = 404;
constexpr std::uint16_t kMethodNotAllowed = 405;
constexpr std::uint16_t kInternalError = 500;
constexpr std::uint16_t kUnavailable = 503;

// Whether a file is there is said as little as the client needs to know; what only we can mend is 5xx.
std::uint16_t status_of(int open_error) {
  switch (open_error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV:  // the name leads out of the root
    case ENAMETOOLONG:
      return kNotFound;
    case EACCES:
    case EPERM:
    case ENXIO:  // a socket, or a device without a driver
    case ENODEV:
      return kForbidden;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return kUnavailable;
    default:
      return kInternalError;
  }
}

Response refusal(std::uint16_t status) {
  Response response = http::error_response(status);
  if (status == kUnavailable) response.headers.add("Retry-After", "1");
  return response;
}

Response other_method() {
  Response response = http::error_response(kMethodNotAllowed);
  response.headers.add("Allow", "GET, HEAD");
  return response;
}

Response redirect_to_directory(const Request& request, std::string_view name) {
  std::string location = directory_url_path(name);
  if (!request.query.empty()) {
    location += '?';
    location += request.query;
  }
  Response response = http::error_response(kMovedPermanently);
  response.headers.add("Location", location);
  return response;
}

// One file's states differ in the time or the size, two files in the inode, so that a file that was swapped for an
// older one of the same size has another tag. Times are as fine as the kernel's tick: a file that is written twice
// within one, to the same size, keeps its tag.
std::string make_etag(const os::FileInfo& info) {
  constexpr int kHexadecimal = 16;
  std::string etag = "\"";
  const auto add = [&etag](std::uint64_t number) {
    std::array<char, 16> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, kHexadecimal);
    etag.append(buffer.data(), end.ptr);
  };
  add(static_cast<std::uint64_t>(info.modified.tv_sec));
  etag += '.';
  add(static_cast<std::uint64_t>(info.modified.tv_nsec));
  etag += '-';
  add(info.size);
  etag += '-';
  add(info.inode);
  etag += '"';
  return etag;
}

}  // namespace

Result<std::unique_ptr<StaticFiles>> StaticFiles::create(Settings settings) {
  if (auto usable = os::check_open_beneath(); !usable) return failure("cannot serve files", std::move(usable.error()));
  auto root = os::open_directory(settings.root);
  if (!root) return failure("cannot serve files", std::move(root.error()));
  return std::unique_ptr<StaticFiles>(new StaticFiles(std::move(settings), std::move(*root)));
}

http::Answer StaticFiles::handle(const Request& request) {
  if (request.method != "GET" && request.method != "HEAD") return other_method();
  const auto path = parse_url_path(request.path);
  if (!path) return refusal(path.error());
  return path->wants_directory ? serve_directory(request, *path) : serve_name(request, *path);
}

Response StaticFiles::serve_name(const Request& request, const UrlPath& path) const {
  auto file = os::open_beneath(root_.get(), path.name.c_str());
  if (!file) return refusal(status_of(file.error()));
  const auto info = os::file_info(file->get());
  if (!info) return refusal(kInternalError);
  switch (info->kind) {
    case os::FileKind::kRegular:
      return serve_file(request, path.name, std::move(*file), *info);
    case os::FileKind::kDirectory:
      return redirect_to_directory(request, path.name);
    case os::FileKind::kOther:
      break;
  }
  return refusal(kForbidden);
}

Response StaticFiles::serve_directory(const Request& request, const UrlPath& path) const {
  for (const std::string& index : settings_.index) {
    const std::string name = path.name.empty() ? index : path.name + '/' + index;
    auto file = os::open_beneath(root_.get(), name.c_str());
    if (!file && file.error() == ENOENT) continue;
    if (!file) return refusal(status_of(file.error()));
    const auto info = os::file_info(file->get());
    if (!info) return refusal(kInternalError);
    if (info->kind == os::FileKind::kRegular) return serve_file(request, name, std::move(*file), *info);
  }
  // Without an index nothing is said about what is in a directory, only that it is there.
  const auto directory = os::open_beneath(root_.get(), path.name.empty() ? "." : (path.name + "/").c_str());
  return refusal(directory ? kForbidden : status_of(directory.error()));
}

Response StaticFiles::serve_file(const Request& request, std::string_view name, os::UniqueFd file,
                                 const os::FileInfo& info) const {
  const std::time_t now = std::time(nullptr);
  // RFC 9110 section 8.8.2.1: a file from the future was modified now.
  const std::time_t modified = std::min(info.modified.tv_sec, now);
  const std::string etag = make_etag(info);
  const std::uint16_t condition = check_conditions(request.headers, {.etag = etag, .modified = modified}, now);
  if (condition >= 400) return refusal(condition);
  Response response{.status = condition == 0 ? kOk : condition};
  response.headers.add("ETag", etag);
  response.headers.add("Last-Modified", http::format_date(modified));
  if (condition != 0) return response;
  const std::string_view type = mime_type(name);
  response.headers.add("Content-Type", type.empty() ? std::string_view(settings_.default_type) : type);
  response.body = FileBody{.file = std::make_shared<const os::UniqueFd>(std::move(file)), .size = info.size};
  return response;
}

}  // namespace prong::app
