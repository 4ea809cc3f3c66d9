#include "app/loaded_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "http/date.hpp"

namespace prong::app {
namespace {

// One file's states differ in the time or the size, two files in the inode, so that a file that was swapped for an
// older one of the same size has another tag. Times are as fine as the kernel's tick: a file that is written twice
// within one, to the same size, keeps its tag.
std::string make_etag(const os::FileInfo& info, Coding coding) {
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
  // A sibling is another file, but nothing keeps it from being a hard link.
  if (coding != Coding::kIdentity) etag.append("-").append(name_of(coding));
  etag += '"';
  return etag;
}

bool same_time(const std::timespec& left, const std::timespec& right) {
  return left.tv_sec == right.tv_sec && left.tv_nsec == right.tv_nsec;
}

}  // namespace

LoadedFile::LoadedFile(const os::FileInfo& info, const FileDescription& description, std::time_t now)
    : info_(info), modified_(std::min(info.modified.tv_sec, now)) {
  write_headers(description);
}

void LoadedFile::write_headers(const FileDescription& description) {
  constexpr std::size_t kUsual = 256;
  headers_.reserve(kUsual);
  content_type_ = add_header("Content-Type", description.content_type);
  type_line_ = static_cast<std::uint32_t>(headers_.size());
  if (description.coding != Coding::kIdentity) add_header("Content-Encoding", name_of(description.coding));
  add_header("Accept-Ranges", "bytes");
  validators_ = static_cast<std::uint32_t>(headers_.size());
  add_header("Last-Modified", http::format_date(modified_));
  etag_ = add_header("ETag", make_etag(info_, description.coding));
  if (!description.cache_control.empty()) add_header("Cache-Control", description.cache_control);
  if (description.varies) add_header("Vary", "Accept-Encoding");
}

LoadedFile::Piece LoadedFile::add_header(std::string_view name, std::string_view value) {
  headers_.append(name).append(": ");
  const Piece piece{.offset = static_cast<std::uint32_t>(headers_.size()),
                    .size = static_cast<std::uint32_t>(value.size())};
  headers_.append(value).append("\r\n");
  return piece;
}

bool LoadedFile::is_unchanged() const {
  if (file_ == nullptr) return true;
  const auto info = os::file_info(file_->get());
  return info && info->size == info_.size && same_time(info->modified, info_.modified);
}

}  // namespace prong::app
