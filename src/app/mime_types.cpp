#include "app/mime_types.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "os/file.hpp"

namespace prong::app {
namespace {

struct MimeType {
  std::string_view extension;  // lower case
  std::string_view type;
};

// Sorted by extension. IANA's registry of media types where it has one, else what browsers expect. Text is taken to be
// UTF-8, which is what it nearly always is; JSON and XML say their encoding themselves (RFC 8259, RFC 7303).
constexpr auto kMimeTypes = std::to_array<MimeType>({
    {"7z", "application/x-7z-compressed"},
    {"aac", "audio/aac"},
    {"apng", "image/apng"},
    {"atom", "application/atom+xml"},
    {"avi", "video/x-msvideo"},
    {"avif", "image/avif"},
    {"bin", "application/octet-stream"},
    {"bmp", "image/bmp"},
    {"br", "application/x-brotli"},
    {"bz2", "application/x-bzip2"},
    {"c", "text/x-c; charset=utf-8"},
    {"cc", "text/x-c; charset=utf-8"},
    {"conf", "text/plain; charset=utf-8"},
    {"cpp", "text/x-c; charset=utf-8"},
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"deb", "application/vnd.debian.binary-package"},
    {"doc", "application/msword"},
    {"docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    {"eot", "application/vnd.ms-fontobject"},
    {"epub", "application/epub+zip"},
    {"flac", "audio/flac"},
    {"gif", "image/gif"},
    {"glb", "model/gltf-binary"},
    {"gltf", "model/gltf+json"},
    {"gz", "application/gzip"},
    {"h", "text/x-c; charset=utf-8"},
    {"heic", "image/heic"},
    {"heif", "image/heif"},
    {"hpp", "text/x-c; charset=utf-8"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/vnd.microsoft.icon"},
    {"ics", "text/calendar; charset=utf-8"},
    {"iso", "application/x-iso9660-image"},
    {"jar", "application/java-archive"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"jsonld", "application/ld+json"},
    {"jxl", "image/jxl"},
    {"log", "text/plain; charset=utf-8"},
    {"m3u8", "application/vnd.apple.mpegurl"},
    {"m4a", "audio/mp4"},
    {"m4v", "video/mp4"},
    {"map", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mid", "audio/midi"},
    {"midi", "audio/midi"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"mkv", "video/x-matroska"},
    {"mov", "video/quicktime"},
    {"mp3", "audio/mpeg"},
    {"mp4", "video/mp4"},
    {"mpeg", "video/mpeg"},
    {"mpg", "video/mpeg"},
    {"odp", "application/vnd.oasis.opendocument.presentation"},
    {"ods", "application/vnd.oasis.opendocument.spreadsheet"},
    {"odt", "application/vnd.oasis.opendocument.text"},
    {"oga", "audio/ogg"},
    {"ogg", "audio/ogg"},
    {"ogv", "video/ogg"},
    {"opus", "audio/ogg"},
    {"otf", "font/otf"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"ppt", "application/vnd.ms-powerpoint"},
    {"pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    {"ps", "application/postscript"},
    {"py", "text/x-python; charset=utf-8"},
    {"rar", "application/vnd.rar"},
    {"rss", "application/rss+xml"},
    {"rtf", "application/rtf"},
    {"sh", "application/x-sh"},
    {"sql", "application/sql"},
    {"svg", "image/svg+xml"},
    {"svgz", "image/svg+xml"},
    {"tar", "application/x-tar"},
    {"tgz", "application/gzip"},
    {"tif", "image/tiff"},
    {"tiff", "image/tiff"},
    {"toml", "application/toml"},
    {"ts", "video/mp2t"},
    {"ttc", "font/collection"},
    {"ttf", "font/ttf"},
    {"txt", "text/plain; charset=utf-8"},
    {"vtt", "text/vtt; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"wav", "audio/wav"},
    {"weba", "audio/webm"},
    {"webm", "video/webm"},
    {"webmanifest", "application/manifest+json"},
    {"webp", "image/webp"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"xhtml", "application/xhtml+xml"},
    {"xls", "application/vnd.ms-excel"},
    {"xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    {"xml", "application/xml"},
    {"xz", "application/x-xz"},
    {"yaml", "application/yaml"},
    {"yml", "application/yaml"},
    {"zip", "application/zip"},
    {"zst", "application/zstd"},
});
static_assert(std::ranges::is_sorted(kMimeTypes, {}, &MimeType::extension));

constexpr std::size_t kLongestExtension = 16;

char lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
}

// Debian's file has 72 KiB; this is for a wrong path.
constexpr std::size_t kMostFileBytes = std::size_t{4} << 20U;

constexpr std::string_view kSpace = " \t\r";

// Takes the next word off. Empty: there is none.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(kSpace), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kSpace));
  line.remove_prefix(word.size());
  return word;
}

bool is_printable(std::string_view word) {
  return std::ranges::all_of(word, [](char byte) { return byte > ' ' && byte < 0x7F; });
}

std::string with_charset(std::string_view type) {
  constexpr std::string_view kJavaScript = "text/javascript";
  if (type == "application/javascript" || type == "application/x-javascript") type = kJavaScript;
  std::string result(type);
  if (type.starts_with("text/")) result += "; charset=utf-8";
  return result;
}

std::string_view built_in(std::string_view extension) {
  const auto* const found = std::ranges::lower_bound(kMimeTypes, extension, {}, &MimeType::extension);
  return found != kMimeTypes.end() && found->extension == extension ? found->type : std::string_view();
}

}  // namespace

MimeTypes MimeTypes::parse(std::string_view text) {
  MimeTypes result;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const std::string_view type = take_word(line);
    if (!type.contains('/') || !is_printable(type)) continue;
    bool is_new = true;
    for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
      if (word.size() > kLongestExtension) continue;
      if (std::exchange(is_new, false)) result.types_.push_back(with_charset(type));
      std::string extension(word);
      std::ranges::transform(extension, extension.begin(), lower);
      result.entries_.push_back(
          {.extension = std::move(extension), .type = static_cast<std::uint32_t>(result.types_.size() - 1)});
    }
  }
  // Of equals the last comes first, and the others are never found.
  std::ranges::sort(result.entries_, [](const Entry& left, const Entry& right) {
    return left.extension != right.extension ? left.extension < right.extension : left.type > right.type;
  });
  return result;
}

Result<MimeTypes> MimeTypes::load(const std::string& path) {
  const auto text = os::read_file(path, kMostFileBytes);
  if (text) return parse(*text);
  if (text.error().error_number == ENOENT) return MimeTypes();
  return failure(text.error());
}

std::string_view MimeTypes::of(std::string_view file_name) const {
  const std::string_view base = file_name.substr(file_name.rfind('/') + 1);
  const std::size_t dot = base.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view extension = base.substr(dot + 1);
  if (extension.size() > kLongestExtension) return {};
  std::array<char, kLongestExtension> buffer{};
  std::ranges::transform(extension, buffer.begin(), lower);
  const std::string_view key(buffer.data(), extension.size());
  const auto found = std::ranges::lower_bound(entries_, key, {}, &Entry::extension);
  if (found != entries_.end() && found->extension == key) return types_[found->type];
  return built_in(key);
}

}  // namespace prong::app
