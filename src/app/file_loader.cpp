#include "app/file_loader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "app/glob.hpp"

namespace prong::app {
namespace {

constexpr std::array kCompressed{Coding::kBrotli, Coding::kZstandard, Coding::kGzip};

// Takes the content in, if it is as large as was said and nobody wrote while it was read.
bool read_whole(const os::UniqueFd& file, LoadedFile& into) {
  std::string content(into.size(), '\0');
  const auto size = os::read_at(file.get(), 0, content);
  const auto now = os::file_info(file.get());
  const os::FileInfo& before = into.info();
  if (!size || !now || *size != before.size || now->size != before.size ||
      now->modified.tv_sec != before.modified.tv_sec || now->modified.tv_nsec != before.modified.tv_nsec)
    return false;
  into.set_content(std::move(content));
  return true;
}

}  // namespace

std::expected<LoadedFile, int> FileLoader::load(std::string_view name, Coding coding) const {
  std::string path(name);
  path += suffix_of(coding);
  auto file = os::open_beneath(root_.get(), path.c_str(), settings_.links);
  if (!file) return std::unexpected(file.error());
  const auto info = os::file_info(file->get());
  if (!info) return std::unexpected(info.error());
  if (info->kind != os::FileKind::kRegular)
    return std::unexpected(info->kind == os::FileKind::kDirectory ? EISDIR : ENXIO);
  LoadedFile loaded(*info,
                    {.content_type = type_of(name),
                     .coding = coding,
                     .cache_control = cache_control_of(name),
                     .varies = negotiates(name)},
                    std::time(nullptr));
  if (info->size > settings_.most_in_memory || !read_whole(*file, loaded)) loaded.set_file(std::move(*file));
  return loaded;
}

bool FileLoader::negotiates(std::string_view name) const {
  return settings_.negotiates &&
         std::ranges::none_of(kCompressed, [&](Coding coding) { return name.ends_with(suffix_of(coding)); });
}

std::expected<os::UniqueFd, int> FileLoader::open_directory(std::string_view name) const {
  const std::string path = name.empty() ? std::string(".") : std::string(name);
  auto directory = os::open_beneath(root_.get(), path.c_str(), settings_.links);
  if (!directory) return directory;
  const auto info = os::file_info(directory->get());
  if (!info) return std::unexpected(info.error());
  if (info->kind != os::FileKind::kDirectory) return std::unexpected(ENOTDIR);
  return directory;
}

std::string_view FileLoader::type_of(std::string_view name) const {
  const std::string_view type = settings_.mime_types.of(name);
  return type.empty() ? std::string_view(settings_.default_type) : type;
}

std::string_view FileLoader::cache_control_of(std::string_view name) const {
  if (settings_.cache_control.empty()) return {};
  const std::string path = '/' + std::string(name);
  const std::string_view base = std::string_view(path).substr(path.rfind('/') + 1);
  for (const auto& [pattern, value] : settings_.cache_control)
    if (glob_matches(pattern, pattern.starts_with('/') ? std::string_view(path) : base)) return value;
  return {};
}

}  // namespace prong::app
