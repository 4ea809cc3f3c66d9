#include "app/static_files.hpp"

#include <cerrno>

#include "app/file_answer.hpp"
#include "app/listing.hpp"
#include "app/url_path.hpp"
#include "http/response.hpp"

namespace prong::app {
namespace {

using http::Request;
using http::Response;

constexpr std::uint16_t kNoContent = 204;
constexpr std::uint16_t kMovedPermanently = 301;
constexpr std::uint16_t kBadRequest = 400;
constexpr std::uint16_t kForbidden = 403;
constexpr std::uint16_t kNotFound = 404;
constexpr std::uint16_t kMethodNotAllowed = 405;
constexpr std::uint16_t kNotAcceptable = 406;
constexpr std::uint16_t kInternalError = 500;
constexpr std::uint16_t kUnavailable = 503;
constexpr std::uint16_t kFirstError = 400;

constexpr std::string_view kAllowed = "GET, HEAD, OPTIONS";

// Nothing is there by that name, as opposed to something that is not for the client.
bool is_absent(int open_error) {
  return open_error == ENOENT || open_error == ENOTDIR || open_error == ENAMETOOLONG;
}

bool is_out_of_descriptors(int open_error) {
  return open_error == EMFILE || open_error == ENFILE;
}

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
    case ENXIO:  // a socket, a FIFO, a device
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

std::uint16_t status_of(PathError error) {
  switch (error) {
    case PathError::kMalformed:
      return kBadRequest;
    case PathError::kNoName:
    case PathError::kHidden:
      break;
  }
  return kNotFound;
}

bool is_directory_name(std::string_view name) {
  return name.empty() || name.ends_with('/');
}

bool is_not_hidden(std::string_view name) {
  return !name.starts_with('.');
}

Response redirect_to_directory(const Request& request, std::string_view name) {
  // A prefix names no other host: it begins with one slash, and ends in none.
  std::string location(request.prefix);
  location += directory_url_path(name);
  if (!request.query.empty()) {
    location += '?';
    location += request.query;
  }
  Response response = http::error_response(kMovedPermanently);
  response.headers.add("Location", location);
  return response;
}

FileLoaderSettings loader_settings(const StaticSettings& settings, MimeTypes types) {
  return {.links = settings.links,
          .mime_types = std::move(types),
          .default_type = settings.default_type,
          .cache_control = settings.cache_control,
          .negotiates = !settings.precompressed.empty(),
          .most_in_memory = static_cast<std::size_t>(settings.cache_file_size.bytes)};
}

}  // namespace

Result<std::unique_ptr<StaticFiles>> StaticFiles::create(Settings settings) {
  constexpr std::string_view kAction = "cannot serve files";
  if (auto usable = os::check_open_beneath(); !usable) return failure(kAction, std::move(usable.error()));
  auto root = os::open_directory(settings.root);
  if (!root) return failure(kAction, std::move(root.error()));
  auto types = settings.mime_types.empty() ? MimeTypes() : MimeTypes::load(settings.mime_types);
  if (!types) return failure(kAction, std::move(types.error()));
  FileLoader loader(std::move(*root), loader_settings(settings, std::move(*types)));
  return std::unique_ptr<StaticFiles>(new StaticFiles(std::move(settings), std::move(loader)));
}

StaticFiles::StaticFiles(Settings settings, FileLoader loader)
    : settings_(std::move(settings)),
      loader_(std::move(loader)),
      error_pages_(settings_.error_pages),
      cache_({.entries = settings_.cache_entries,
              .descriptors = settings_.cache_descriptors,
              .bytes = settings_.cache_memory.bytes,
              .time_to_live = settings_.cache_ttl}) {}

http::DescriptorNeeds StaticFiles::descriptor_needs() const {
  const std::size_t cached = settings_.cache_ttl == Duration::zero() ? 0 : settings_.cache_descriptors;
  return {.held = 1 + cached, .per_answer = 1};
}

std::optional<os::TimePoint> StaticFiles::do_housekeeping(os::TimePoint now) {
  borrowed_.reset();
  return cache_.expire(now);
}

http::Answer StaticFiles::handle(const Request& request) {
  if (request.method != "GET" && request.method != "HEAD") {
    Response response = request.method == "OPTIONS" ? Response{.status = kNoContent} : refusal(kMethodNotAllowed);
    response.headers.add("Allow", kAllowed);
    return response;
  }
  if (const auto name = plain_name(request.path)) return serve(request, *name);
  if (request.path.empty()) return redirect_to_directory(request, "");
  auto path = parse_url_path(request.path);
  if (!path)
    return path.error() == PathError::kNoName ? serve_fallback(request, ENOENT) : refusal(status_of(path.error()));
  if (path->wants_directory && !path->name.empty()) path->name += '/';
  return serve(request, path->name);
}

// A name that is empty or ends in a slash is that of a directory.
Response StaticFiles::serve(const Request& request, std::string_view name) {
  if (is_directory_name(name)) return serve_directory(request, name);
  auto file = find(name);
  if (file) return serve_file(request, name, std::move(*file));
  if (file.error() == EISDIR) return redirect_to_directory(request, name);
  return serve_fallback(request, file.error());
}

Response StaticFiles::serve_directory(const Request& request, std::string_view name) {
  for (const std::string& index : settings_.index) {
    const std::string index_name = std::string(name) + index;
    auto file = find(index_name);
    if (file) return serve_file(request, index_name, std::move(*file));
    const bool goes_on = file.error() == ENOENT || file.error() == EISDIR || file.error() == ENXIO;
    if (!goes_on) return serve_fallback(request, file.error());
  }
  if (!name.empty()) name.remove_suffix(1);
  const auto directory = loader_.open_directory(name);
  if (!directory) return serve_fallback(request, directory.error());
  // Without an index nothing is said about what is in a directory, only that it is there.
  return settings_.listing ? list(name, directory->get()) : refusal(kForbidden);
}

Response StaticFiles::list(std::string_view name, int directory) {
  auto content = os::read_directory(directory, kMostListed, is_not_hidden);
  if (!content) return refusal(status_of(content.error()));
  const std::string before = name.empty() ? std::string() : std::string(name) + '/';
  for (os::DirectoryEntry& entry : content->entries) {
    if (entry.info.kind != os::FileKind::kLink) continue;
    if (const auto target = loader_.info(before + entry.name)) entry.info = *target;
  }
  // What would not be served is not listed.
  std::erase_if(content->entries, [](const os::DirectoryEntry& entry) {
    return entry.info.kind != os::FileKind::kRegular && entry.info.kind != os::FileKind::kDirectory;
  });
  Response response{.body = listing_page(name, std::move(*content))};
  response.headers.add("Content-Type", "text/html; charset=utf-8");
  response.headers.add("Cache-Control", "no-cache");
  response.headers.add("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
  return response;
}

Response StaticFiles::serve_file(const Request& request, std::string_view name, File file) {
  const RequestFields fields = find_fields(request.headers);
  if (fields.accept_encoding && loader_.negotiates(name)) {
    file = representation(request, name, std::move(file));
    if (file == nullptr) return not_acceptable();
  }
  Response response = answer_with(request, fields, *file);
  if (response.status >= kFirstError) {
    Response page = refusal(response.status);
    if (const auto range = response.headers.find("Content-Range")) page.headers.add("Content-Range", *range);
    return page;
  }
  borrowed_ = std::move(file);
  return response;
}

Response StaticFiles::serve_fallback(const Request& request, int error) {
  if (is_absent(error) && !settings_.fallback.empty())
    if (auto file = find(settings_.fallback)) return serve_file(request, settings_.fallback, std::move(*file));
  return refusal(status_of(error));
}

// A page that cannot be had is none: what went wrong first is to be told.
Response StaticFiles::refusal(std::uint16_t status) {
  const std::string_view page = error_pages_.of(status);
  auto file = page.empty() ? std::unexpected(ENOENT) : find(page);
  Response response =
      file ? Response{.status = status, .headers = {}, .body = whole_body(**file)} : http::error_response(status);
  if (file) {
    response.headers.add("Content-Type", (*file)->content_type());
    borrowed_ = std::move(*file);
  }
  if (status == kUnavailable) response.headers.add("Retry-After", "1");
  return response;
}

Response StaticFiles::not_acceptable() {
  Response response = refusal(kNotAcceptable);
  response.headers.add("Vary", "Accept-Encoding");
  return response;
}

std::expected<StaticFiles::File, int> StaticFiles::find(std::string_view name) {
  const os::TimePoint now = os::coarse_now();
  if (auto found = cache_.find(name, now)) return std::move(*found);
  auto loaded = loader_.load(name);
  if (!loaded && is_out_of_descriptors(loaded.error()) && cache_.descriptors() > 0) {
    cache_.clear();
    loaded = loader_.load(name);
  }
  if (!loaded) return std::unexpected(loaded.error());
  auto file = std::make_shared<const LoadedFile>(std::move(*loaded));
  cache_.insert(name, file, now);
  return file;
}

// Of siblings it is also remembered that they are not there: else each request would look for them.
StaticFiles::File StaticFiles::find_sibling(std::string_view name, Coding coding) {
  const os::TimePoint now = os::coarse_now();
  scratch_.assign(name);
  scratch_ += '\0';  // is in no name
  scratch_ += suffix_of(coding);
  if (auto found = cache_.find(scratch_, now)) return std::move(*found);
  auto loaded = loader_.load(name, coding);
  if (!loaded && status_of(loaded.error()) >= kInternalError) return nullptr;  // it may be there
  File file = loaded ? std::make_shared<const LoadedFile>(std::move(*loaded)) : nullptr;
  cache_.insert(scratch_, file, now);
  return file;
}

// The file, or the sibling of it that the client likes best; nullptr: it wants none of what there is. A sibling that is
// older than its file was made from another one; seconds are all that some compressors keep of a time.
StaticFiles::File StaticFiles::representation(const Request& request, std::string_view name, File file) {
  for (const Coding coding : choose_codings(request.headers, settings_.precompressed)) {
    if (coding == Coding::kIdentity) return file;
    File sibling = find_sibling(name, coding);
    if (sibling != nullptr && sibling->info().modified.tv_sec >= file->info().modified.tv_sec) return sibling;
  }
  return nullptr;
}

}  // namespace prong::app
