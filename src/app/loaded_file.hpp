// One representation of a file, ready to be sent: its bytes or where they are, and all that its answers say about it.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "app/content_coding.hpp"
#include "http/handler.hpp"
#include "os/file.hpp"
#include "os/unique_fd.hpp"

namespace prong::app {

struct FileDescription {
  std::string_view content_type = {};
  Coding coding = Coding::kIdentity;
  std::string_view cache_control = {};  // empty: none
  bool varies = false;                  // whether other clients may get it in another coding
};

class LoadedFile {
 public:
  // `now`: RFC 9110 section 8.8.2.1, a file from the future was modified now.
  LoadedFile(const os::FileInfo& info, const FileDescription& description, std::time_t now);

  void set_file(os::UniqueFd file) { file_ = std::make_shared<const os::UniqueFd>(std::move(file)); }
  void set_content(std::string content) { content_ = std::make_shared<const std::string>(std::move(content)); }

  // Where the bytes are; nullptr: in content().
  [[nodiscard]] const std::shared_ptr<const os::UniqueFd>& file() const { return file_; }
  [[nodiscard]] std::string_view content() const {
    return content_ == nullptr ? std::string_view() : std::string_view(*content_);
  }
  // The same for an answer that may outlive this.
  [[nodiscard]] http::SharedText shared_content() const { return {.owner = content_, .text = content()}; }
  [[nodiscard]] const os::FileInfo& info() const { return info_; }
  [[nodiscard]] std::uint64_t size() const { return info_.size; }
  // Whether the file that is open is what it was when it was loaded; true for what is in memory. One fstat(2).
  [[nodiscard]] bool is_unchanged() const;

  // What distinguishes this state of the file from others.
  [[nodiscard]] std::time_t modified() const { return modified_; }
  [[nodiscard]] std::string_view etag() const { return text_of(etag_); }

  // Header lines, each with its CRLF: all of them, those beside Content-Type, and those that a 304 repeats (RFC 9110
  // section 15.4.5).
  [[nodiscard]] std::string_view headers() const { return headers_; }
  [[nodiscard]] std::string_view headers_without_type() const { return headers().substr(type_line_); }
  [[nodiscard]] std::string_view headers_of_304() const { return headers().substr(validators_); }
  [[nodiscard]] std::string_view content_type() const { return text_of(content_type_); }

 private:
  struct Piece {
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };
  [[nodiscard]] std::string_view text_of(Piece piece) const { return headers().substr(piece.offset, piece.size); }
  void write_headers(const FileDescription& description);
  Piece add_header(std::string_view name, std::string_view value);

  os::FileInfo info_;
  std::time_t modified_;
  std::shared_ptr<const os::UniqueFd> file_;
  std::shared_ptr<const std::string> content_;
  std::string headers_;
  Piece content_type_;
  Piece etag_;
  std::uint32_t type_line_ = 0;   // of headers_: behind the line of Content-Type
  std::uint32_t validators_ = 0;  // of headers_: where what a 304 repeats begins
};

}  // namespace prong::app
