#include "http/request_body.hpp"

#include <algorithm>
#include <utility>

#include "os/file.hpp"

namespace prong::http {

Result<void> RequestBody::append(std::span<const char> bytes, std::size_t most_in_memory,
                                 const std::string& directory) {
  size_ += bytes.size();
  if (!in_file() && size_ <= most_in_memory) {
    text_.append(bytes.data(), bytes.size());
    return {};
  }
  if (!in_file()) {
    auto file = os::open_unnamed_file(directory);
    if (!file) return failure("cannot store a request's body", std::move(file.error()));
    file_ = std::move(*file);
    if (auto written = os::write_all(file_.get(), text_); !written)
      return failure("cannot store a request's body in \"" + directory + "\"", std::move(written.error()));
    std::string().swap(text_);
  }
  if (auto written = os::write_all(file_.get(), {bytes.data(), bytes.size()}); !written)
    return failure("cannot store a request's body in \"" + directory + "\"", std::move(written.error()));
  return {};
}

Result<std::size_t> RequestBody::read(std::uint64_t offset, std::span<char> buffer) const {
  if (in_file()) return os::read_at(file_.get(), offset, buffer);
  if (offset >= text_.size()) return std::size_t{0};
  return text_.copy(buffer.data(), buffer.size(), static_cast<std::size_t>(offset));
}

}  // namespace prong::http
